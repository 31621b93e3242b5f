"""What runs the workers: processes of this machine, or a cluster."""

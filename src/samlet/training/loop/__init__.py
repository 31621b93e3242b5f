"""The training loop of any stage: optimizer, precision, processes, checkpoints, log."""

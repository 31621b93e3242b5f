"""What runs a network, one module per backend. Import the module you need: each needs a package the others do not."""

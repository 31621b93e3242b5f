"""Torch blocks that two or more model families share. Attribute names are those of the official checkpoints."""

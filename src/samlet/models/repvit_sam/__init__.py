"""RepViT-SAM: SAM with a RepViT-M2.3 image encoder."""

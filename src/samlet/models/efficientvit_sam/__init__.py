"""EfficientViT-SAM: SAM with an EfficientViT image encoder."""

"""SAM with its own ViT image encoders."""

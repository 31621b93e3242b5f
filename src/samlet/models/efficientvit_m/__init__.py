"""EfficientViT (Microsoft), M0 to M5: cascaded group attention."""

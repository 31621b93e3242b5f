"""EfficientViT (MIT): its blocks and its backbones."""

"""EfficientViT (MIT): its blocks, its backbones, its classifiers and segmenters."""

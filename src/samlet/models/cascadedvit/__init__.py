"""CascadedViT: EfficientViT-M whose FFNs are cascades of chunks."""

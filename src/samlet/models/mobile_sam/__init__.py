"""MobileSAM: SAM with a TinyViT image encoder."""

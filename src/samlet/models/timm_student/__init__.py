"""Students with an image encoder of timm."""

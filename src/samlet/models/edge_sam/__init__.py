"""EdgeSAM: SAM with a RepViT image encoder, and the heads that propose regions."""

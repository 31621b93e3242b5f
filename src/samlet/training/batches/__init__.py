"""What a stage is fed: images, views, prompts and masks, drawn from a seed."""

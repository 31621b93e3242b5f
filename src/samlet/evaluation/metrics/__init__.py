"""Numbers made of masks: overlap, average precision."""

"""Training stages: what is learned, from which batches, by which losses."""

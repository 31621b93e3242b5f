"""samlet inside other tools: CVAT, FiftyOne and napari, each behind an extra of its own."""

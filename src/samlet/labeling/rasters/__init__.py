"""Masks for a raster (GeoTIFF, COG, …) of any size: read by windows, joined, and written in its coordinates."""

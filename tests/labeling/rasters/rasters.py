"""Raster files for tests; whoever imports this needs the `raster` extra."""

import warnings

import numpy as np
import rasterio

UTM = "EPSG:32633"
TRANSFORM = rasterio.Affine(0.5, 0.0, 500_000.0, 0.0, -0.5, 5_400_000.0)  # half a meter a pixel


def write(path, bands, crs=UTM, transform=TRANSFORM, **options):
    """A GeoTIFF of bands [B, H, W] or [H, W]."""
    bands = np.asarray(bands)
    bands = bands[None] if bands.ndim == 2 else bands
    count, height, width = bands.shape
    placed = {} if transform is None else {"transform": transform}
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": bands.dtype, "crs": crs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", **profile, **placed, **options) as file:
            file.write(bands)
    return path

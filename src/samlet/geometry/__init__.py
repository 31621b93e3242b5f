"""Pure functions on arrays: frames, boxes, points, regions and run-length codes. No state, no files, no models.

Coordinates are pixels, x before y; sizes are (height, width). Import the module you need:
`from samlet.geometry import boxes`.
"""

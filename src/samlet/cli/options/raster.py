"""The options of `samlet label` that make one file a raster, to be looked at by windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from samlet.cli.options.bounds import Between
from samlet.cli.options.prompts import parse_prompts
from samlet.errors import InputError
from samlet.geometry.seams import LEAST_WINDOW_PX, MOST_WINDOW_PX, Grid
from samlet.prompts import Prompts


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RasterOptions:
    """How a raster is looked at; with none of them a file is a photo."""

    window: Annotated[
        int | None,
        Parameter(
            help="The source is one raster (GeoTIFF, COG, VRT, JPEG 2000), looked at by windows of so many pixels; "
            f"default for rasters: {Grid.window_px}.",
            validator=Between(LEAST_WINDOW_PX, MOST_WINDOW_PX),
        ),
    ] = None
    overlap: Annotated[
        int | None,
        Parameter(
            help=f"Windows of a raster lie over each other by so many pixels; default: {Grid.overlap_px}.",
            validator=Between(0, MOST_WINDOW_PX),
        ),
    ] = None
    bands: Annotated[
        str | None,
        Parameter(help="The bands of a raster that are red, green and blue, or the one that is gray: 4,3,2."),
    ] = None
    stretch: Annotated[
        str | None,
        Parameter(
            help="Percentiles of a raster's bands that become black and white: LOW,HIGH. Default: 2,98; 8 bits as they "
            "are."
        ),
    ] = None
    point: Annotated[
        tuple[str, ...],
        Parameter(
            help="X,Y or X,Y,LABEL in a raster, as in samlet segment: only what is asked for. Repeatable.",
            allow_leading_hyphen=True,
        ),
    ] = ()
    box: Annotated[
        tuple[str, ...],
        Parameter(help="X0,Y0,X1,Y1 in a raster; each box is one mask. Repeatable.", allow_leading_hyphen=True),
    ] = ()
    map_coordinates: Annotated[
        bool, Parameter(help="Points and boxes are in the raster's CRS, not in pixels.", negative="")
    ] = False

    @property
    def is_given(self) -> bool:
        """Whether any of them was given."""
        return self != RasterOptions()

    @property
    def prompts(self) -> Prompts | None:
        """What is asked for; None: everything. PromptError for a text that cannot be read."""
        if self.map_coordinates and not (self.point or self.box):
            raise InputError("--map-coordinates says what --point and --box mean: give one of them.")
        return parse_prompts(self.point, self.box) if self.point or self.box else None

    @property
    def band_numbers(self) -> tuple[int, ...]:
        """The bands, none by default. InputError for a text that cannot be read."""
        try:
            return () if self.bands is None else tuple(int(part) for part in self.bands.split(","))
        except ValueError:
            raise InputError(f'--bands "{self.bands}" cannot be read: it is one number or three, as 4,3,2.') from None

    @property
    def percentiles(self) -> tuple[float, float] | None:
        """The stretch. InputError for a text that cannot be read."""
        if self.stretch is None:
            return None
        try:
            low, high = (float(part) for part in self.stretch.split(","))
        except ValueError:
            raise InputError(f'--stretch "{self.stretch}" cannot be read: it is LOW,HIGH, as 2,98.') from None
        return low, high


NO_RASTER = RasterOptions()

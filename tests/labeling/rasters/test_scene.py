"""Rasters as scenes."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import numpy as np
import pytest

from samlet.errors import ImageError, InputError, MissingExtraError
from samlet.geometry.windows import Window
from samlet.labeling.rasters.scene import Georeference, RasterScene

rasterio = pytest.importorskip("rasterio", reason='needs ".[raster]"')
pytest.importorskip("rasterio.shutil")
from tests.labeling.rasters.rasters import TRANSFORM, UTM, write  # noqa: E402

WHOLE = Window(0, 0, 50, 40)


def _levels(dtype=np.uint8, bands=3, top=256):
    return np.random.default_rng(0).integers(0, top, (bands, 40, 50)).astype(dtype)


def _read(path, window=WHOLE, step=1, **options):
    with RasterScene(path, **options) as scene:
        return scene.read(window, step)


def test_eight_bits_are_taken_as_they_are(tmp_path):
    levels = _levels()
    view = _read(write(tmp_path / "a.tif", levels), Window(3, 5, 40, 39))
    assert view.valid is None
    assert np.array_equal(view.pixels, levels[:, 5:39, 3:40].transpose(1, 2, 0))
    with RasterScene(tmp_path / "a.tif") as scene:
        assert scene.size_hw == (40, 50)


@pytest.mark.parametrize(
    ("count", "options", "bands"),
    [
        (1, {}, (0, 0, 0)),
        (2, {}, (0, 0, 0)),
        (3, {}, (0, 1, 2)),
        (5, {}, (0, 1, 2)),
        (5, {"bands": (5, 2, 1)}, (4, 1, 0)),
        (5, {"bands": (4,)}, (3, 3, 3)),
    ],
)
def test_the_bands_that_are_shown(tmp_path, count, options, bands):
    levels = _levels(bands=count)
    view = _read(write(tmp_path / "a.tif", levels, photometric="minisblack"), **options)
    assert np.array_equal(view.pixels, levels[list(bands)].transpose(1, 2, 0))


def test_colors_that_are_named_come_first_whatever_their_place(tmp_path):
    levels = _levels(bands=4)
    path = write(tmp_path / "a.tif", levels, photometric="minisblack")
    with rasterio.open(path, "r+") as file:
        color = rasterio.enums.ColorInterp
        file.colorinterp = (color.blue, color.green, color.red, color.undefined)
    assert np.array_equal(_read(path).pixels, levels[[2, 1, 0]].transpose(1, 2, 0))


def test_a_palette_is_looked_up(tmp_path):
    path = write(tmp_path / "a.tif", _levels(bands=1, top=2))
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {0: (10, 20, 30, 255), 1: (200, 100, 50, 255)})
    assert {tuple(color) for color in _read(path).pixels.reshape(-1, 3).tolist()} == {(10, 20, 30), (200, 100, 50)}


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
def test_other_values_are_stretched_band_by_band_between_percentiles(tmp_path, dtype):
    ramp = np.linspace(0, 1000, 2000).reshape(40, 50)
    levels = np.stack([ramp, 100 + 2 * ramp, ramp / 10]).astype(dtype)
    view = _read(write(tmp_path / "a.tif", levels))
    assert (view.pixels[0, 0] == 0).all()
    assert (view.pixels[-1, -1] == 255).all()
    middle = view.pixels[20, 0].astype(int)
    assert (abs(middle - 128) <= 4).all()
    assert view.pixels[1].min() >= 0


def test_eight_bits_are_stretched_where_asked(tmp_path):
    levels = np.broadcast_to(np.linspace(100, 120, 50).astype(np.uint8), (1, 40, 50))
    view = _read(write(tmp_path / "a.tif", levels), percentiles=(0, 100))
    assert (view.pixels.min(), view.pixels.max()) == (0, 255)


def test_a_raster_of_one_value_is_black(tmp_path):
    assert not _read(write(tmp_path / "a.tif", np.full((40, 50), 700, np.uint16))).pixels.any()


@pytest.mark.parametrize(
    "make",
    [
        lambda levels, path: write(path, levels.astype(np.uint16) + 1000, nodata=1000),
        lambda levels, path: write(path, np.where(levels == 0, np.nan, levels.astype(np.float32))),
        lambda levels, path: write(path, levels, nodata=0),
    ],
    ids=["16 bits", "NaN", "8 bits"],
)
def test_where_it_has_no_data_it_shows_nothing(tmp_path, make):
    levels = np.full((40, 50), 100, np.uint8)
    levels[10:20, 5:45] = 0
    levels[30:, 30:] = 200
    view = _read(make(levels, tmp_path / "a.tif"))
    assert np.array_equal(view.valid, levels > 0)
    assert not view.pixels[~view.valid].any()


def test_an_alpha_band_says_where_it_shows_anything(tmp_path):
    levels = _levels(bands=4)
    levels[3] = 255
    levels[3, :10] = 0
    view = _read(write(tmp_path / "a.tif", levels, photometric="rgb", alpha="yes"))
    assert np.array_equal(view.valid, levels[3] > 0)


@pytest.mark.parametrize("step", [2, 3, 7])
def test_a_step_leaves_pixels_out(tmp_path, step):
    levels = np.zeros((1, 40, 50), np.uint8)
    levels[:, 20:, 25:] = 255
    view = _read(write(tmp_path / "a.tif", levels, nodata=3), Window(0, 0, 50, 40), step)
    assert view.pixels.shape == (-(-40 // step), -(-50 // step), 3)
    assert view.valid.shape == view.pixels.shape[:2]
    rows, columns = np.nonzero(view.pixels[..., 0])
    assert abs(rows.min() * step - 20) <= step
    assert abs(columns.min() * step - 25) <= step


def test_pixels_and_map_coordinates_are_the_same_place(tmp_path):
    turned = rasterio.Affine(0.4, 0.3, 500_000.0, 0.2, -0.5, 5_400_000.0)
    with RasterScene(write(tmp_path / "a.tif", _levels(), transform=turned)) as scene:
        place = scene.georeference
    assert place.is_known
    assert np.allclose(place.to_map([[7, 11]]), [(500_006.1, 5_399_995.9)])
    points_xy = np.random.default_rng(0).uniform(0, 50, (2, 3, 2))
    assert np.allclose(place.to_pixels(place.to_map(points_xy)), points_xy)


@pytest.mark.parametrize(
    ("crs", "transform", "known"),
    [(UTM, TRANSFORM, True), (None, TRANSFORM, False), (UTM, None, False), (None, None, False)],
)
def test_a_raster_without_crs_or_position_has_no_map_coordinates(tmp_path, crs, transform, known):
    with RasterScene(write(tmp_path / "a.tif", _levels(), crs, transform)) as scene:
        assert scene.georeference.is_known is known
        if transform is None:
            assert scene.georeference == Georeference(scene.georeference.crs_wkt, (1, 0, 0, 0, 1, 0))


@pytest.mark.parametrize("bands", [(1, 2), (0,), (1, 2, 4), (1, 2, 3, 1), (-1,)])
def test_bands_that_it_has_not_are_refused(tmp_path, bands):
    with pytest.raises(InputError, match=r"one or three of the 3 of .*a\.tif"):
        RasterScene(write(tmp_path / "a.tif", _levels()), bands)


@pytest.mark.parametrize("percentiles", [(98, 2), (-1, 50), (0, 101), (5, 5), (float("nan"), 5)])
def test_a_stretch_is_two_percentiles(tmp_path, percentiles):
    with pytest.raises(InputError, match="two percentiles"):
        RasterScene(write(tmp_path / "a.tif", _levels()), (), percentiles)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_bytes(b""), "cannot be read as a raster"),
        (lambda path: path.write_bytes(b"II*\0 damaged"), "cannot be read as a raster"),
        (lambda path: path.write_text("<html>"), "cannot be read as a raster"),
        (lambda path: write(path, np.zeros((8, 8), np.complex64)), "complex"),
        (lambda path: write(path, np.full((8, 8), np.nan, np.float32)), "holds no value"),
    ],
    ids=["missing", "folder", "empty", "damaged", "other", "complex", "nothing"],
)
def test_what_is_no_raster_is_told_in_a_sentence(tmp_path, make, named):
    path = tmp_path / "bad.tif"
    make(path)
    with pytest.raises(ImageError, match=rf"bad\.tif .*{named}") as caught:
        RasterScene(path)
    assert "\n" not in str(caught.value)


def test_a_raster_that_is_cut_is_told_where_it_is_read(tmp_path):
    path = write(
        tmp_path / "bad.tif", np.random.default_rng(0).integers(0, 255, (400, 500), np.uint8), compress="DEFLATE"
    )
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(ImageError, match=r"bad\.tif"), RasterScene(path) as scene:
        scene.read(Window(0, 300, 500, 400))


def test_without_the_extra_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rasterio", None)
    with pytest.raises(MissingExtraError, match=r"samlet\[raster\]"):
        RasterScene(tmp_path / "a.tif")


def _vrt(path, source):
    path.write_text(
        '<VRTDataset rasterXSize="50" rasterYSize="40"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f'<SourceFilename relativeToVRT="{int("/" not in source)}">{source}</SourceFilename><SourceBand>1</SourceBand>'
        '<SourceProperties RasterXSize="50" RasterYSize="40" DataType="Byte" BlockXSize="50" BlockYSize="40"/>'
        '<SrcRect xOff="0" yOff="0" xSize="50" ySize="40"/><DstRect xOff="0" yOff="0" xSize="50" ySize="40"/>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    return path


def test_a_vrt_is_read_from_the_files_beside_it(tmp_path):
    levels = _levels(bands=1)
    write(tmp_path / "part.tif", levels)
    view = _read(_vrt(tmp_path / "scene.vrt", "part.tif"))
    assert np.array_equal(view.pixels[..., 0], levels[0])


def test_a_vrt_asks_no_address(tmp_path):
    asked = []

    class Listener(BaseHTTPRequestHandler):
        def parse_request(self):
            asked.append(self.raw_requestline)
            return False

        def log_message(self, *arguments):
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"/vsicurl/http://127.0.0.1:{server.server_port}/part.tif"
        with pytest.raises(ImageError, match=r"scene\.vrt"):
            _read(_vrt(tmp_path / "scene.vrt", address))
        server.shutdown()
    assert asked == []


@pytest.mark.parametrize("driver", ["PNG", "JPEG", "JP2OpenJPEG", "ENVI", "HFA"])
def test_other_formats_are_read(tmp_path, driver):
    levels = _levels()
    rasterio.shutil.copy(write(tmp_path / "a.tif", levels), tmp_path / "other", driver=driver)
    pixels = _read(tmp_path / "other").pixels
    assert pixels.shape == (40, 50, 3)
    if driver not in ("JPEG", "JP2OpenJPEG"):
        assert np.array_equal(pixels, levels.transpose(1, 2, 0))

"""A raster in, polygons and a label raster out."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.painted import SIZE_HW, THINGS, Finder, PaintedScene

from samlet.errors import InputError, OutputError, PromptError
from samlet.labeling.job import ModelFacts
from samlet.labeling.places import Folder
from samlet.labeling.rasters import estimate as estimating
from samlet.labeling.rasters import label as module
from samlet.labeling.rasters.estimate import estimate
from samlet.labeling.rasters.kept import KeptWindows
from samlet.labeling.rasters.label import RasterOrder, label_raster, windows_done
from samlet.prompts import Prompts

rasterio = pytest.importorskip("rasterio", reason='needs ".[raster]"')
pyogrio = pytest.importorskip("pyogrio", reason='needs ".[raster]"')
shapely = pytest.importorskip("shapely", reason='needs ".[raster]"')
pyproj = pytest.importorskip("pyproj", reason='needs ".[raster]"')
from tests.labeling.rasters.rasters import TRANSFORM, UTM, write  # noqa: E402

# A ring, so that a polygon has a hole; over four windows.
RING = ((150, 100, 260, 200), (180, 130, 230, 170))


class AskedPredictor:
    """Answers a prompt with the thing under it."""

    @staticmethod
    def segment(pixels, prompts, **settings):
        assert set(settings) <= {"refine"}
        return Finder().ask(pixels, prompts)


def _levels():
    levels = PaintedScene().levels
    (left, top, right, bottom), (hole_left, hole_top, hole_right, hole_bottom) = RING
    levels[top:bottom, left:right] = 7
    levels[hole_top:hole_bottom, hole_left:hole_right] = 0
    return levels


@pytest.fixture
def order(tmp_path, monkeypatch):
    """Everything in a scene of four things, each a gray level."""
    monkeypatch.setattr(module, "MaskGenerator", lambda predictor, **settings: Finder())
    return RasterOrder(
        write(tmp_path / "scene.tif", _levels(), tiled=True, blockxsize=64, blockysize=64),
        tmp_path / "out",
        AskedPredictor(),
        ModelFacts("finder", None, "fake"),
        window_px=128,
        overlap_px=32,
        vectors=("gpkg", "geojson"),
        tolerance_px=0.0,
    )


def _read(path):
    meta, _, geometry, columns = pyogrio.raw.read(path)
    return meta["crs"], shapely.from_wkb(geometry), dict(zip(meta["fields"].tolist(), columns, strict=True))


def _labels(result):
    with rasterio.open(result.files["labels"]) as file:
        return file.read(1)


def _bytes(result):
    return {kind: path.read_bytes() for kind, path in result.files.items()}


def test_polygons_and_labels_are_the_things_that_are_there(order):
    told = []
    result = label_raster(order, lambda done, total: told.append((done, total)))
    assert result.masks == 4
    assert told == [(done, 15) for done in range(1, 16)]
    levels, labels = _levels(), _labels(result)
    for kind in ("gpkg", "geojson"):
        crs, polygons, columns = _read(result.files[kind])
        assert pyproj.CRS(crs) == pyproj.CRS(UTM)
        assert shapely.is_valid(polygons).all()
        for row, polygon in enumerate(polygons):
            number = row + 1
            (level,) = set(levels[labels == number].tolist())
            assert np.array_equal(labels == number, levels == level)
            assert columns["area_px"][row] == (levels == level).sum()
            # Half a meter a pixel; UTM is 0.04 % too small in its middle, which is where the scene lies.
            assert polygon.area == pytest.approx(columns["area_px"][row] / 4)
            assert columns["area_m2"][row] == pytest.approx(polygon.area / 0.9996**2, rel=1e-4)
            assert columns["predicted_iou"][row] == pytest.approx(0.9)
            inside = rasterio.features.geometry_mask([polygon], levels.shape, TRANSFORM, invert=True)
            assert np.array_equal(inside, levels == level)
    ring = max(_read(result.files["gpkg"])[1], key=lambda polygon: len(polygon.geoms[0].interiors))
    assert [len(polygon.interiors) for polygon in ring.geoms] == [1]


def test_the_label_raster_is_a_cog_in_the_grid_of_the_scene(order):
    result = label_raster(order)
    with rasterio.open(result.files["labels"]) as file:
        assert (file.crs, file.transform) == (rasterio.CRS.from_string(UTM), TRANSFORM)
        assert (file.shape, file.dtypes, file.nodata) == (SIZE_HW, ("uint16",), 0)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


@pytest.mark.parametrize("step", range(0, 15, 2))
def test_killed_at_any_window_and_started_again_it_writes_the_same_bytes(order, step, monkeypatch, tmp_path):
    uninterrupted = _bytes(label_raster(replace(order, folder=tmp_path / "other")))
    add, asked = KeptWindows.add, []

    def killed(self, number, window, pieces):
        asked.append(window)
        if len(asked) == step + 1:
            raise KeyboardInterrupt
        add(self, number, window, pieces)

    monkeypatch.setattr(KeptWindows, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        label_raster(order)
    assert not any(path.exists() for path in order.files.values())
    assert _bytes(label_raster(order)) == uninterrupted
    assert len(asked) == 16  # one window was done twice, the others once


def test_killed_while_it_writes_it_leaves_no_file_and_asks_nothing_again(order, monkeypatch):
    def full(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_label_raster", full)
        with pytest.raises(KeyboardInterrupt):
            label_raster(order)
    monkeypatch.setattr(module, "pieces_of", lambda *arguments: pytest.fail("asked again"))
    assert label_raster(order).masks == 4


def test_what_is_finished_is_not_done_again(order, monkeypatch):
    result = label_raster(order)
    assert sorted(path.name for path in order.folder.iterdir() if not path.name.startswith(".")) == [
        "finished.json", "job.json", "scene.geojson", "scene.gpkg", "scene.labels.tif"
    ]  # fmt: skip
    written = {path: path.stat().st_mtime_ns for path in result.files.values()}
    assert label_raster(order) == result
    assert {path: path.stat().st_mtime_ns for path in result.files.values()} == written


def test_how_far_it_is_can_be_told_at_any_time(order, monkeypatch):
    assert windows_done(Folder(order.folder)) is None
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_label_raster", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            label_raster(order)
    assert windows_done(Folder(order.folder)) == (15, 15)
    (order.folder / "windows" / "000001.jsonl").unlink()
    assert windows_done(Folder(order.folder)) == (10, 15)
    label_raster(order)
    assert windows_done(Folder(order.folder)) == (15, 15)


def test_what_it_would_take_is_measured_on_windows_spread_over_it(order, monkeypatch):
    monkeypatch.setattr(estimating, "MaskGenerator", lambda predictor, **settings: Finder())
    plan = estimate(order, sample=5)
    assert (plan.windows, plan.sample, plan.empty) == (15, 5, 0)
    assert (plan.width_px, plan.height_px) == (SIZE_HW[1], SIZE_HW[0])
    assert plan.masks_per_window > 0
    assert plan.hours == pytest.approx(15 * (plan.read_s + plan.segment_s) / 3600)
    assert not order.folder.exists()
    with pytest.raises(InputError, match="dry-run"):
        estimate(replace(order, prompts=Prompts.points([[1, 1]])))


def test_where_the_scene_has_no_data_no_mask_is(order, tmp_path):
    levels = _levels().astype(np.uint16)
    levels[:, 200:] = 999
    scene = write(tmp_path / "half.tif", levels, nodata=999)
    result = label_raster(replace(order, scene=scene, percentiles=None))
    labels = _labels(result)
    assert labels[:, :200].any()
    assert not labels[:, 200:].any()
    assert _read(result.files["gpkg"])[1][0].bounds[2] <= TRANSFORM.c + 200 * TRANSFORM.a


def test_a_scene_without_a_thing_gives_empty_files(order, tmp_path):
    result = label_raster(replace(order, scene=write(tmp_path / "empty.tif", np.zeros((100, 100), np.uint8))))
    assert result.masks == 0
    for kind in ("gpkg", "geojson"):
        assert len(_read(result.files[kind])[1]) == 0
    assert not _labels(result).any()


def test_without_a_crs_polygons_are_in_pixels_and_have_no_area_in_meters(order, tmp_path):
    scene = write(tmp_path / "plain.tif", _levels(), None, None)
    crs, polygons, columns = _read(label_raster(replace(order, scene=scene, vectors=("gpkg",))).files["gpkg"])
    assert crs is None or "Undefined" in crs
    assert sorted(polygon.bounds for polygon in polygons) == sorted([*THINGS.values(), RING[0]])
    assert np.isnan(columns["area_m2"].astype(float)).all()


def test_in_degrees_areas_are_those_on_the_ellipsoid(order, tmp_path):
    degrees = rasterio.Affine(1e-5, 0.0, 15.0, 0.0, -1e-5, 60.0)
    scene = write(tmp_path / "degrees.tif", _levels(), "EPSG:4326", degrees)
    _, polygons, columns = _read(label_raster(replace(order, scene=scene)).files["gpkg"])
    geod = pyproj.Geod(ellps="WGS84")
    for polygon, area_m2 in zip(polygons, columns["area_m2"], strict=True):
        assert area_m2 == pytest.approx(abs(geod.geometry_area_perimeter(shapely.orient_polygons(polygon))[0]))
        assert area_m2 == pytest.approx(polygon.area * 111_400 * 55_800, rel=0.01)


MAP_POINT = [[TRANSFORM.c + 60 * 0.5, TRANSFORM.f - 50 * 0.5]]
MAP_BOX = [TRANSFORM.c + 20 * 0.5, TRANSFORM.f - 290 * 0.5, TRANSFORM.c + 60 * 0.5, TRANSFORM.f - 150 * 0.5]


@pytest.mark.parametrize(
    ("prompts", "in_map_coordinates", "box"),
    [
        (Prompts.points(MAP_POINT), True, THINGS[1]),
        (Prompts.boxes(MAP_BOX), True, THINGS[3]),
        (Prompts.points([[60, 50]]), False, THINGS[1]),
    ],
)
def test_prompts_in_map_coordinates_or_pixels(order, prompts, in_map_coordinates, box):
    told = []
    asked = replace(order, prompts=prompts, in_map_coordinates=in_map_coordinates, settings={"refine": "none"})
    result = label_raster(asked, lambda done, total: told.append((done, total)))
    rows, columns = np.nonzero(_labels(result))
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == box
    assert told == [(1, 1)]
    assert _read(result.files["gpkg"])[2]["label"].tolist() == [1]


def test_a_label_is_the_number_of_its_prompt(order, tmp_path):
    levels = _levels().astype(np.uint16)
    levels[80:] = 999
    scene = write(tmp_path / "half.tif", levels, nodata=999)
    prompts = Prompts.points([[[150, 40]], [[40, 200]], [[60, 50]]])
    result = label_raster(replace(order, scene=scene, prompts=prompts))
    assert result.masks == 2  # the second lies where the scene shows nothing
    assert _read(result.files["gpkg"])[2]["label"].tolist() == [1, 3]


@pytest.mark.parametrize("cut", [0, 5])
def test_killed_between_answers_it_asks_only_what_is_left(order, monkeypatch, tmp_path, cut):
    asked = replace(order, prompts=Prompts.points([[[150, 40]], [[40, 200]], [[60, 50]]]), settings={})
    uninterrupted = _bytes(label_raster(replace(asked, folder=tmp_path / "other")))
    answer, given = AskedPredictor.segment, []

    def killed(pixels, prompts, **settings):
        given.append(prompts)
        if len(given) == 2:
            raise KeyboardInterrupt
        return answer(pixels, prompts, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(AskedPredictor, "segment", staticmethod(killed))
        with pytest.raises(KeyboardInterrupt):
            label_raster(replace(asked, window_px=512, overlap_px=0))
    path = order.folder / "windows" / "answers.jsonl"
    assert windows_done(Folder(order.folder)) == (1, 3)
    path.write_bytes(path.read_bytes()[: -cut or None])  # and what was written last may be cut
    assert windows_done(Folder(order.folder)) == (int(not cut), 3)
    result = label_raster(replace(asked, window_px=512, overlap_px=0))
    assert _bytes(result) == uninterrupted


@pytest.mark.parametrize(
    ("changes", "error", "named"),
    [
        ({"window_px": 100, "overlap_px": 100}, InputError, "overlap must be smaller"),
        ({"window_px": 10}, InputError, "window is 10"),
        ({"bands": (2,)}, InputError, "bands are 2"),
        ({"percentiles": (90.0, 10.0)}, InputError, "two percentiles"),
        ({"prompts": Prompts.points([[5000, 10]])}, PromptError, "5000"),
        (
            {"prompts": Prompts.points([[60, 50]]), "in_map_coordinates": True},
            PromptError,
            r"outside|inside|beyond|lie",
        ),
    ],
)
def test_bad_orders_are_refused_before_anything_is_written(order, changes, error, named):
    with pytest.raises(error, match=named):
        label_raster(replace(order, **changes))
    assert not order.folder.exists()


def test_map_coordinates_of_a_raster_without_crs_are_refused(order, tmp_path):
    scene = write(tmp_path / "plain.tif", _levels(), None, None)
    with pytest.raises(InputError, match=r"plain\.tif has no CRS"):
        label_raster(replace(order, scene=scene, prompts=Prompts.points(MAP_POINT), in_map_coordinates=True))


def test_a_crs_that_geojson_cannot_name_is_refused_before_the_work(order, tmp_path):
    own = "+proj=tmerc +lat_0=48.1 +lon_0=11.7 +x_0=123 +ellps=GRS80"
    scene = write(tmp_path / "own.tif", _levels(), own)
    with pytest.raises(InputError, match="write a GeoPackage"):
        label_raster(replace(order, scene=scene))
    crs, _, columns = _read(label_raster(replace(order, scene=scene, vectors=("gpkg",))).files["gpkg"])
    assert "Transverse_Mercator" in pyproj.CRS(crs).to_wkt() or "Transverse Mercator" in pyproj.CRS(crs).to_wkt()
    assert (columns["area_m2"] > 0).all()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"window_px": 256}, "window_px is 256 now and was 128"),
        ({"settings": {"points_per_side": 8}}, "settings"),
        ({"model": ModelFacts("another", "abc", "fake")}, "model"),
        ({"prompts": Prompts.points([[60, 50]])}, "prompts"),
        ({"vectors": ("gpkg",)}, "vectors"),
    ],
)
def test_a_folder_of_another_job_is_refused_with_the_difference(order, changes, named):
    label_raster(order)
    with pytest.raises(OutputError, match=named):
        label_raster(replace(order, **changes))


def test_a_changed_scene_is_another_job(order):
    label_raster(order)
    write(order.scene, np.zeros(SIZE_HW, np.uint8))
    with pytest.raises(OutputError, match="modified_ns"):
        label_raster(order)


@pytest.mark.parametrize("name", ["notes.txt", "job.json"])
def test_a_folder_with_anything_else_in_it_is_refused(order, name):
    order.folder.mkdir()
    (order.folder / name).write_text(json.dumps({"sources": ["photos"], "images": 3}) if name == "job.json" else "mine")
    with pytest.raises(OutputError, match=r"empty folder|another job"):
        label_raster(order)
    assert not any(path.exists() for path in order.files.values())


@pytest.mark.parametrize("kind", ["gpkg", "geojson", "labels"])
def test_a_place_that_cannot_be_written_is_told_and_nothing_half_written_stays(order, kind, monkeypatch):
    order.folder.mkdir()
    monkeypatch.setattr(module, "_start", lambda *arguments: None)
    order.files[kind].mkdir()
    with pytest.raises(OutputError, match=order.files[kind].name):
        label_raster(order)
    assert [path for path in order.folder.iterdir() if path.name.startswith(".samlet")] == []

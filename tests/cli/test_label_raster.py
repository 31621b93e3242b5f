"""`samlet label` of a raster."""

from __future__ import annotations

import json

import numpy as np
import pytest

rasterio = pytest.importorskip("rasterio", reason='needs ".[raster]"')
pytest.importorskip("pyogrio", reason='needs ".[raster]"')
pytest.importorskip("shapely", reason='needs ".[raster]"')
pytest.importorskip("pyproj", reason='needs ".[raster]"')
from tests.labeling.rasters.rasters import TRANSFORM, write  # noqa: E402

SETTINGS = ("--points-per-side", 2, "--pred-iou-thresh", 0.1, "--stability-score-thresh", 0.1)
WINDOWS = ("--window", 128, "--overlap", 32)


@pytest.fixture
def scene(workplace):
    """A raster of 200 x 150 pixels and four bands."""
    levels = np.random.default_rng(0).integers(0, 2000, (4, 150, 200), np.uint16)
    return write(workplace.parent / "scene.tif", levels)


def test_everything_in_a_raster_as_polygons_and_labels(samlet, loads, scene, workplace):
    words = ("label", scene, "--output", "out", *WINDOWS, "--bands", "4,3,2", "--stretch", "1,99", *SETTINGS)
    code, out, err = samlet(*words)
    assert (code, err) == (0, "")
    assert "scene.gpkg" in out
    with rasterio.open(workplace / "out" / "scene.labels.tif") as file:
        labels = file.read(1)
    assert labels.max() > 1
    job = json.loads((workplace / "out" / "job.json").read_text())
    assert (job["bands"], job["percentiles"], job["window_px"]) == ([4, 3, 2], [1, 99], 128)
    assert job["settings"]["pred_iou_thresh"] == 0.1
    code, out, _ = samlet(*words, "--json")
    assert (code, json.loads(out)["masks"]) == (0, len(np.unique(labels)) - 1)
    code, out, _ = samlet("label", "status", "out")
    assert (code, "4 of 4" in out) == (0, True)
    assert json.loads(samlet("label", "status", "out", "--json")[1])["windows"] == 4


def test_a_click_on_the_map(samlet, loads, scene, workplace):
    point = f"{TRANSFORM.c + 50},{TRANSFORM.f - 40}"
    words = ("--point", point, "--map-coordinates", "--format", "geojson", "--refine", "none")
    assert samlet("label", scene, "--output", "out", *words)[0] == 0
    (feature,) = json.loads((workplace / "out" / "scene.geojson").read_text())["features"]
    (polygon,) = feature["geometry"]["coordinates"]
    x, y = np.mean(polygon[0], axis=0)
    assert abs(x - TRANSFORM.c - 50) < 3
    assert abs(y - TRANSFORM.f + 40) < 3


def test_a_dry_run_writes_nothing(samlet, loads, scene, workplace):
    code, out, _ = samlet("label", scene, "--output", "out", *WINDOWS, *SETTINGS, "--dry-run")
    assert (code, "windows" in out, "hours" in out) == (0, True, True)
    assert list(workplace.iterdir()) == []
    assert (
        json.loads(samlet("label", scene, "--output", "out", *WINDOWS, *SETTINGS, "--dry-run", "--json")[1])["hours"]
        > 0
    )


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--window", 128, "--overlap", 128), "overlap must be smaller"),
        (("--window", 8), "--window"),
        (("--window", 128, "--overlap", -1), "--overlap"),
        (("--bands", "4,x"), "--bands"),
        (("--bands", "5"), "bands are 5"),
        (("--stretch", "2"), "--stretch"),
        (("--stretch", "98,2"), "two percentiles"),
        (("--point", "1"), "--point"),
        (("--point", "5000,5000"), "5000"),
        (("--map-coordinates",), "--map-coordinates"),
        (("--window", 128, "--workers", 2), "--workers is for photos"),
        (("--window", 128, "--format", "parquet"), "--format parquet is for photos"),
        (("--window", 128, "--detections", "a.json"), "--detections is for photos"),
        (("--point", "1,1", "--dry-run"), "--dry-run"),
    ],
)
def test_bad_options_are_refused_and_nothing_is_written(refused, loads, scene, workplace, words, named):
    assert named in refused("label", scene, "--output", "out", *words)
    assert not (workplace / "out" / "scene.gpkg").exists()


@pytest.mark.parametrize(
    ("sources", "named"),
    [
        (("missing.tif",), "missing.tif does not exist"),
        (("s3://bucket/scene.tif",), "lies on this machine"),
        (("scene.tif", "other.tif"), "2 sources"),
        ((".",), "is a folder"),
    ],
)
def test_what_is_no_raster_is_refused(refused, loads, workplace, sources, named):
    assert named in refused("label", *sources, "--output", "out", *WINDOWS)


def test_map_coordinates_need_a_crs(refused, loads, workplace):
    scene = write(workplace.parent / "plain.tif", np.zeros((100, 100), np.uint8), None, None)
    assert "no CRS" in refused("label", scene, "--output", "out", "--point", "1,1", "--map-coordinates")


def test_an_output_of_another_job_is_refused(samlet, refused, loads, scene, workplace):
    words = ("label", scene, "--output", "out", *SETTINGS)
    assert samlet(*words, *WINDOWS)[0] == 0
    assert "overlap_px is 16 now and was 32" in refused(*words, "--window", 128, "--overlap", 16)
    (workplace / "mine").mkdir()
    (workplace / "mine" / "notes.txt").write_text("mine")
    assert "not empty" in refused("label", scene, "--output", "mine", *WINDOWS)


def test_a_place_that_cannot_be_written_is_refused(refused, loads, scene, workplace):
    (workplace / "out").write_text("a file")
    assert "out" in refused("label", scene, "--output", "out", *WINDOWS)

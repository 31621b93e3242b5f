"""A real process that labels a raster, killed at random times until it has finished."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rasterio", reason='needs ".[raster]"')
pytest.importorskip("pyogrio", reason='needs ".[raster]"')
pytest.importorskip("shapely", reason='needs ".[raster]"')
pytest.importorskip("pyproj", reason='needs ".[raster]"')
from tests.labeling.rasters.rasters import write
from tests.painted import PaintedScene

ROOT = Path(__file__).parents[3]
JOB = """
import sys, time
from pathlib import Path
from tests.painted import Finder
from samlet.labeling.job import ModelFacts
from samlet.labeling.rasters import label as module

class Slow(Finder):
    def generate(self, pixels):
        time.sleep(0.1)
        return super().generate(pixels)

module.MaskGenerator = lambda predictor, **settings: Slow()
order = module.RasterOrder(
    Path(sys.argv[1]), Path(sys.argv[2]), None, ModelFacts("finder", None, "fake"), window_px=64, overlap_px=16,
    vectors=("gpkg", "geojson"),
)
print("ready", flush=True)
module.label_raster(order)
"""
KILLS = 12


def _started(scene, folder):
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", JOB, scene, folder],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"},
        stdout=subprocess.PIPE,
    )


def _run(scene, folder, kill_after_s=None):
    """Whether it ended by itself."""
    with _started(scene, folder) as process:
        assert process.stdout.readline() == b"ready\n"
        try:
            process.wait(kill_after_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    return process.returncode == 0


@pytest.mark.slow
def test_killed_at_random_times_it_ends_in_the_same_bytes(tmp_path):
    scene = write(tmp_path / "scene.tif", PaintedScene().levels, tiled=True, blockxsize=64, blockysize=64)
    uninterrupted, killed = tmp_path / "one", tmp_path / "other"
    assert _run(scene, uninterrupted)
    times = random.Random(0)
    ended = [_run(scene, killed, times.uniform(0.1, 1.5)) for _ in range(KILLS)]
    assert ended.count(False) >= 3  # or nothing was tried
    assert _run(scene, killed)
    names = sorted(path.name for path in uninterrupted.iterdir() if not path.name.startswith("."))
    assert names == ["finished.json", "job.json", "scene.geojson", "scene.gpkg", "scene.labels.tif"]
    for name in names:
        assert (killed / name).read_bytes() == (uninterrupted / name).read_bytes()
    assert [path for path in killed.iterdir() if path.name.startswith(".samlet")] == []

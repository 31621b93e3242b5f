"""Which engine the options mean, and what does not go together."""

from __future__ import annotations

import pytest

from samlet.cli.options.engine import HERE, EngineOptions
from samlet.errors import BackendError, InputError, MissingExtraError
from samlet.labeling.engines.local import LocalEngine
from samlet.labeling.engines.ray import RayEngine


def test_processes_of_this_machine_are_the_default():
    HERE.check(None)
    assert HERE.make(3, 2) == LocalEngine(3, 2)


@pytest.mark.parametrize(
    ("options", "engine"),
    [
        ({}, RayEngine(None, 4, 4, 2, 0)),
        ({"min_workers": 1, "gpus_per_worker": 0.25}, RayEngine(None, 1, 4, 2, 0.25)),
        ({"ray_address": "ray://h:1", "min_workers": 9}, RayEngine("ray://h:1", 4, 4, 2, 0)),
    ],
)
def test_actors_of_ray(monkeypatch, options, engine):
    monkeypatch.setattr("samlet.labeling.engines.ray.import_ray", lambda: None)
    assert EngineOptions(engine="ray", **options).make(4, 2) == engine


def test_ray_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"--engine ray needs .*samlet\[ray\]"):
        EngineOptions(engine="ray").make(1, 1)


@pytest.mark.parametrize(
    ("options", "workers", "error", "message"),
    [
        ({"ray_address": "h:1"}, 1, InputError, "--ray-address belongs to --engine ray"),
        ({"gpus_per_worker": 0.5}, 1, InputError, "--gpus-per-worker belongs to --engine ray"),
        ({"engine": "ray", "ray_address": "h:1"}, None, InputError, "give --workers"),
        ({"engine": "ray"}, 0, InputError, "give 1 or more"),
        ({"engine": "ray", "min_workers": 3}, 2, InputError, "--min-workers 3 is more than --workers 2"),
        ({"engine": "ray", "ray_address": "127.0.0.1:1"}, 2, BackendError, "No Ray cluster can be reached"),
    ],
)
def test_what_does_not_go_together(options, workers, error, message):
    with pytest.raises(error, match=message):
        EngineOptions(**options).check(workers)

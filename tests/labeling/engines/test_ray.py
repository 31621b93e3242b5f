"""What the Ray engine does around Ray itself, with a Ray that is made up; the real one is in test_both_engines.py."""

from __future__ import annotations

import signal
from types import SimpleNamespace

import pytest

from samlet.errors import BackendError
from samlet.labeling.engines import ray as engine
from samlet.labeling.engines.ray import RayEngine


@pytest.fixture
def made_up(monkeypatch):
    """A Ray that takes SIGTERM over, as Ray does, and then does not start; what it was asked for."""
    asked = {}

    def init(**options):
        asked.update(options)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise ConnectionError("no cluster\nand more of it")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(engine, "import_ray", lambda: SimpleNamespace(is_initialized=lambda: False, init=init))
    return asked


def test_signals_stay_ours(made_up):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(BackendError, match=r"^Ray cannot be reached at local: no cluster\.$"):
        list(RayEngine().run([0], None))
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_cluster_of_our_own_has_cores_enough_and_no_dashboard(made_up):
    with pytest.raises(BackendError):
        list(RayEngine(max_workers=1000, cpus=2).run([0], None))
    assert (made_up["address"], made_up["num_cpus"], made_up["include_dashboard"]) == ("local", 2001, False)


@pytest.mark.parametrize("address", ["auto", "ray://HOST:PORT"])
def test_other_clusters_are_taken_as_they_are(made_up, monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr(engine, "check_reachable", lambda _: None)
    with pytest.raises(BackendError, match="set RAY_AUTH_MODE=token"):
        list(RayEngine().run([0], None))
    assert made_up["address"] == address
    assert "num_cpus" not in made_up


def test_without_shards_no_cluster_is_asked(made_up):
    assert list(RayEngine().run([], None)) == []
    assert made_up == {}

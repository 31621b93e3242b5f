"""Folders and files that one may not enter, read or write: one sentence, whoever is denied."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

NOBODY = 65534  # whom root turns into, as nothing is denied to root


@contextmanager
def as_nobody() -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    try:
        os.setresuid(NOBODY, NOBODY, 0)
    except OSError as error:
        pytest.skip(f"this root may not become another user: {error}")
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may enter, with a photo, and folders and a photo that none may use."""
    if not hasattr(os, "setresuid"):
        pytest.skip("this system has no way to become another user and back")
    folder = Path(tempfile.mkdtemp())  # pytest's own is for one user only
    folder.chmod(0o755)
    for name in ("closed", "read-only", "open"):
        (folder / name).mkdir()
        Image.new("RGB", (64, 48), "white").save(folder / name / "photo.jpg")
    Image.new("RGB", (64, 48), "white").save(folder / "photo.jpg")
    Image.new("RGB", (64, 48), "white").save(folder / "secret.jpg")
    (folder / "secret.jpg").chmod(0)
    (folder / "read-only").chmod(0o555)
    (folder / "open").chmod(0o777)
    (folder / "closed").chmod(0)
    yield folder
    (folder / "closed").chmod(0o700)
    (folder / "read-only").chmod(0o700)
    shutil.rmtree(folder)


@pytest.mark.parametrize("verb", [("segment", "--point", "10,10"), ("everything", "--points-per-side", "2")])
@pytest.mark.parametrize(
    ("photo", "output", "named"),
    [
        ("secret.jpg", "open", "secret.jpg"),
        ("closed/photo.jpg", "open", "photo.jpg"),
        ("closed", "open", "closed"),
        ("photo.jpg", "read-only", "read-only"),
        ("photo.jpg", "read-only/new", "read-only"),
        ("photo.jpg", "closed", "closed"),
        ("photo.jpg", "closed/new", "closed"),
    ],
)
def test_what_is_denied_is_named(samlet, loads, place, verb, photo, output, named):
    # What is imported later may lie where only root may look.
    assert samlet(verb[0], place / "photo.jpg", *verb[1:], "--output", place / "warm")[0] == 0
    before = sorted(place.rglob("*"))
    with as_nobody():
        code, _, err = samlet(verb[0], place / photo, *verb[1:], "--output", place / output)
    assert code == 2
    assert named in err
    assert err.count("\n") == 1
    assert sorted(place.rglob("*")) == before


def test_data_that_may_not_be_read_is_named(samlet, loads, place):
    samlet("eval", "--data", place / "gone", "--output", place / "open" / "report")
    with as_nobody():
        code, _, err = samlet("eval", "--data", place / "closed", "--output", place / "open" / "report")
    assert (code, "closed" in err) == (2, True)


@pytest.mark.parametrize("output", ["read-only", "read-only/new", "closed", "closed/new"])
def test_results_that_may_not_be_written_are_named_before_the_model_is_loaded(samlet, loads, place, output):
    pytest.importorskip("pyarrow")
    few = ("--points-per-side", "2", "--workers", "0")
    assert samlet("label", place / "photo.jpg", "--output", place / "warm", *few)[0] == 0
    loads.clear()
    with as_nobody():
        code, _, err = samlet("label", place / "photo.jpg", "--output", place / output, *few)
    assert (code, loads, err.count("\n")) == (2, [], 1)
    assert f"{place / output.partition('/')[0]}" in err

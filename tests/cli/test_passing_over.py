"""One broken photo among many: named, passed over where asked for, and told by the exit code."""

from __future__ import annotations

import shutil

import pytest

VERBS = {
    "segment": ("segment", "{photos}", "--point", "100,80", "--output", "out"),
    "everything": ("everything", "{photos}", "--output", "out", "--points-per-side", "1"),
}


@pytest.fixture(params=sorted(VERBS))
def words(request, photo, loads):
    """The words of a verb with a broken photo between two good ones; the photos themselves."""
    cut, last = photo.with_name("cut.jpg"), photo.with_name("last.jpg")
    cut.write_bytes(photo.read_bytes()[:300])
    shutil.copy(photo, last)
    first, *others = VERBS[request.param]
    return [first, photo, cut, last, *others[1:]]


def test_without_the_option_the_broken_one_is_the_error(samlet, words, workplace):
    code, _, err = samlet(*words)
    assert code == 2
    assert "cut.jpg" in err
    assert not (workplace / "out" / "last.json").exists()


def test_it_is_passed_over_and_told(samlet, words, workplace):
    code, _, err = samlet(*words, "--max-broken", "1")
    assert code == 3
    skipped, error = err.splitlines()
    assert skipped.startswith("skipped ")
    assert error.startswith("error: 1 photos could not be read (")
    assert {path.name for path in (workplace / "out").glob("*.json")} == {"photo.json", "last.json"}


def test_there_may_be_too_many(samlet, words, photo, workplace):
    again = photo.with_name("again.jpg")
    again.write_bytes(b"")
    code, _, err = samlet(words[0], again, *words[1:], "--max-broken", "1")
    assert code == 2
    assert "2 samples are broken" in err
    assert "--max-broken 1" in err
    assert not (workplace / "out" / "last.json").exists()


def test_nothing_broken_is_nothing_told(samlet, words):
    assert samlet(words[0], words[1], *words[4:], "--max-broken", "5")[::2] == (0, "")

from __future__ import annotations

import pytest

from samlet.web.kept import BoundedCache


@pytest.fixture
def cache():
    return BoundedCache(10, len)


def test_nothing_is_kept_at_first(cache):
    assert (len(cache), cache.bytes, cache.get("a")) == (0, 0, None)


def test_what_was_used_longest_ago_goes_first(cache):
    cache.put("a", b"1234")
    cache.put("b", b"1234")
    assert cache.get("a") == b"1234"
    cache.put("c", b"1234")
    assert (cache.get("b"), cache.get("a"), cache.get("c")) == (None, b"1234", b"1234")
    assert cache.bytes == 8


def test_a_value_takes_the_place_of_an_older_one(cache):
    cache.put("a", b"12345678")
    cache.put("a", b"1")
    assert (len(cache), cache.bytes, cache.get("a")) == (1, 1, b"1")


def test_the_newest_stays_even_if_it_is_too_large(cache):
    cache.put("a", b"1")
    cache.put("b", bytes(99))
    assert (len(cache), cache.bytes) == (1, 99)
    cache.put("c", b"1")
    assert (len(cache), cache.bytes, cache.get("b")) == (1, 1, None)

"""Protocols are data: what they allow, how many rounds they take, and their JSON."""

from __future__ import annotations

import pytest

from samlet.errors import InputError
from samlet.evaluation.protocols.protocol import Protocol, default_clicks


@pytest.mark.parametrize(
    ("start", "clicks", "rounds"), [("box", 0, 1), ("box", 2, 3), ("point", 1, 1), ("center", 5, 5)]
)
def test_rounds(start, clicks, rounds) -> None:
    assert Protocol(start, clicks).rounds == rounds


@pytest.mark.parametrize(("start", "clicks"), [("box", 0), ("point", 1), ("center", 1)])
def test_default_clicks_are_allowed(start, clicks) -> None:
    assert default_clicks(start) == clicks
    assert Protocol(start, clicks).rounds == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"start": "text"}, "'text' is unknown; choose one of box, point, center"),
        ({"policy": "worst"}, "'worst' is unknown; choose one of best"),
        ({"start": "point", "clicks": 0}, "point takes 1 to 20 clicks, not 0"),
        ({"start": "center", "clicks": 21}, "center takes 1 to 20 clicks, not 21"),
        ({"start": "box", "clicks": -1}, "box takes 0 to 20 clicks, not -1"),
        ({"start": "everything", "clicks": 1}, "everything clicks and chooses by itself"),
        ({"start": "everything", "policy": "oracle"}, "everything clicks and chooses by itself"),
        ({"start": "everything", "feed_mask_back": True}, "everything clicks and chooses by itself"),
        ({"start": "box_from_detector", "clicks": 1}, "box_from_detector knows no truth"),
        ({"start": "box_from_detector", "policy": "oracle"}, "box_from_detector knows no truth"),
        ({"start": "box_from_detector", "feed_mask_back": True}, "box_from_detector knows no truth"),
    ],
)
def test_nonsense_is_refused(fields, message) -> None:
    with pytest.raises(InputError, match=message):
        Protocol(**fields)


def test_json_round_trip() -> None:
    protocol = Protocol("point", 3, "oracle", feed_mask_back=True)
    assert Protocol.from_json(protocol.to_json()) == protocol


@pytest.mark.parametrize(
    ("protocol", "title"),
    [
        (Protocol("box"), "box, policy best"),
        (Protocol("center", 1, "first"), "center, 1 click, policy first"),
        (Protocol("point", 3, feed_mask_back=True), "point, 3 clicks, policy best, mask fed back"),
        (Protocol("everything"), "everything"),
        (Protocol("box_from_detector", policy="stability"), "box_from_detector, policy stability"),
    ],
)
def test_titles(protocol: Protocol, title: str) -> None:
    assert protocol.title == title

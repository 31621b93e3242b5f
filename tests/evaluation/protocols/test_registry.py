"""The protocols by name: what they allow, how many rounds they take, and their JSON."""

from __future__ import annotations

import json

import pytest

from samlet.errors import InputError
from samlet.evaluation.protocols.box import Box
from samlet.evaluation.protocols.box_from_detector import BoxFromDetector
from samlet.evaluation.protocols.center import Center
from samlet.evaluation.protocols.everything import Everything
from samlet.evaluation.protocols.point import Point
from samlet.evaluation.protocols.protocol import EvaluationProtocol
from samlet.evaluation.protocols.registry import PROTOCOLS, from_json, make_protocol


@pytest.mark.parametrize(
    ("start", "clicks", "rounds"), [("box", 0, 1), ("box", 2, 3), ("point", 1, 1), ("center", 5, 5)]
)
def test_rounds(start, clicks, rounds) -> None:
    assert make_protocol(start, clicks=clicks).rounds == rounds


@pytest.mark.parametrize(("start", "clicks"), [("box", 0), ("point", 1), ("center", 1)])
def test_default_clicks_are_the_fewest(start, clicks) -> None:
    protocol = make_protocol(start)
    assert (protocol.clicks, protocol.rounds) == (clicks, 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "text"}, "'text' is unknown; choose one of box, point, center"),
        ({"name": "box", "select": "worst"}, "'worst' is unknown; choose one of best"),
        ({"name": "point", "clicks": 0}, "point takes 1 to 20 clicks, not 0"),
        ({"name": "center", "clicks": 21}, "center takes 1 to 20 clicks, not 21"),
        ({"name": "box", "clicks": -1}, "box takes 0 to 20 clicks, not -1"),
        ({"name": "everything", "clicks": 1}, "everything has no clicks: it takes no options"),
        ({"name": "everything", "select": "oracle"}, "everything has no select"),
        ({"name": "everything", "feed_mask_back": True}, "everything has no feed_mask_back"),
        ({"name": "box_from_detector", "clicks": 1}, "box_from_detector has no clicks: it takes select"),
        ({"name": "box_from_detector", "select": "oracle"}, "box_from_detector knows no truth"),
        ({"name": "box_from_detector", "feed_mask_back": True}, "box_from_detector has no feed_mask_back"),
    ],
)
def test_nonsense_is_refused(fields, message) -> None:
    with pytest.raises(InputError, match=message):
        make_protocol(**fields)


@pytest.mark.parametrize("name", [name for name, *_ in PROTOCOLS])
def test_json_round_trip(name: str) -> None:
    protocol = make_protocol(name)
    assert protocol.name == name
    assert from_json(json.loads(json.dumps(protocol.to_json()))) == protocol


def test_options_are_in_the_json() -> None:
    protocol = Point(3, "oracle", feed_mask_back=True)
    assert from_json(protocol.to_json()) == protocol
    assert protocol.to_json() == {"start": "point", "clicks": 3, "select": "oracle", "feed_mask_back": True}
    assert Everything().to_json() == {"start": "everything"}


@pytest.mark.parametrize(
    ("protocol", "title"),
    [
        (Box(), "box, select best"),
        (Center(1, "first"), "center, 1 click, select first"),
        (Point(3, feed_mask_back=True), "point, 3 clicks, select best, mask fed back"),
        (Everything(), "everything"),
        (BoxFromDetector(select="stability"), "box_from_detector, select stability"),
    ],
)
def test_titles(protocol: EvaluationProtocol, title: str) -> None:
    assert protocol.title == title

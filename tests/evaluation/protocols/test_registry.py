"""The protocols by name: what they allow, how many rounds they take, and their JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
from PIL import Image
from tests.evaluation.fake import gray_image, predictor

from samlet import loading
from samlet.cli.eval import app
from samlet.errors import InputError
from samlet.evaluation.protocols import registry
from samlet.evaluation.protocols.box import Box
from samlet.evaluation.protocols.box_from_detector import BoxFromDetector
from samlet.evaluation.protocols.center import Center
from samlet.evaluation.protocols.everything import Everything
from samlet.evaluation.protocols.point import Point
from samlet.evaluation.protocols.protocol import EvaluationProtocol
from samlet.evaluation.protocols.registry import PROTOCOLS, from_json, make_protocol
from samlet.evaluation.results import ImageResult, InstanceResult
from samlet.evaluation.selection import Selection
from samlet.evaluation.tables import Row, Table, percent


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
        ({"name": "box", "select": "worst"}, "'worst' is unknown; choose one of iou"),
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
        (Box(), "box, select iou"),
        (Center(1, "single"), "center, 1 click, select single"),
        (Point(3, feed_mask_back=True), "point, 3 clicks, select iou, mask fed back"),
        (Everything(), "everything"),
        (BoxFromDetector(select="stability"), "box_from_detector, select stability"),
    ],
)
def test_titles(protocol: EvaluationProtocol, title: str) -> None:
    assert protocol.title == title


@dataclass(frozen=True)
class Brightness(EvaluationProtocol):
    """How bright images are: nothing like a mask, and no option."""

    name: ClassVar[str] = "brightness"
    score: ClassVar[str | None] = None
    title: ClassVar[str] = "brightness"

    def choose(self, samples, scope):
        return Selection(list(samples))

    def evaluate(self, predictor, sample):
        mean = float(sample.read_image().mean()) / 255
        return ImageResult(sample.name, sample.source, (InstanceResult(1, 1.0, mean, mean),), {})

    def aggregate(self, results, selection):
        return {"brightness": max(result.instances[0].true_iou for result in results)}

    def tables(self, metrics):
        return [Table("", ("brightest",), (Row("all", (percent(metrics["brightness"]),)),))]

    def draw(self, predictor, sample, instances):
        return [sample.read_image() for _ in instances]


def test_another_protocol_is_a_class_and_a_line(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(registry, "PROTOCOLS", (*PROTOCOLS, ("brightness", f"{__name__}:Brightness", "nothing")))
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__, SimpleNamespace(Brightness=Brightness)))
    monkeypatch.setattr(loading, "load", lambda *_, **__: predictor())
    monkeypatch.setattr("samlet.evaluation.provenance.weights_hash", lambda *_: "0" * 64)
    Image.fromarray(gray_image()).save(tmp_path / "a_1.png")
    words = ["--data", str(tmp_path), "--output", str(tmp_path / "out"), "--protocol", "brightness"]
    app(words, exit_on_error=False, print_error=False, result_action="return_value")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["metrics"] == {"brightness": pytest.approx(128 / 255)}
    assert report["protocol"] == {"start": "brightness"}
    assert "50.2%" in capsys.readouterr().out
    text = (tmp_path / "out" / "report.html").read_text()
    assert "<th>brightest</th>" in text
    assert text.count("<img") == 2

"""`samlet classify` over a network that looks at nothing but brightness."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from tests.fake_network import FakeNetwork

from samlet import loading
from samlet.classifying import Classifier

NAMES = ("dark", "middle", "light")


@pytest.fixture
def network(monkeypatch):
    network = FakeNetwork("classification", NAMES)
    asked = []
    monkeypatch.setattr(loading, "load", lambda **options: asked.append(options) or Classifier(network))
    network.asked = asked
    return network


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, level in (("a", 0), ("b", 255), ("c", 128)):
        Image.fromarray(np.full((40, 50, 3), level, np.uint8)).save(folder / f"{name}.png")
    return folder


def test_a_table_of_the_surest_classes(samlet, network, photos):
    code, out, err = samlet("classify", str(photos), "--model", "fake", "--top", "2", "--batch-size", "2")
    heading, *rows = out.splitlines()
    assert (code, err, heading.split()) == (0, "", ["image", "rank", "class", "probability"])
    assert [row.split()[-2] for row in rows[::2]] == ["dark", "light", "middle"]
    assert network.batches == [2, 1]
    assert network.asked[0]["task"] == "classification"


def test_a_record_for_each_image(samlet, network, photos):
    _, out, _ = samlet("classify", str(photos / "a.png"), "--model", "fake", "--json")
    record = json.loads(out)
    assert record["model"] == "fake-classification"
    assert [each["class"] for each in record["classes"]] == ["dark", "middle", "light"]


def test_photos_that_cannot_be_read_are_passed_over_up_to_a_limit(samlet, network, photos):
    (photos / "b.png").write_bytes(b"no picture")
    code, out, err = samlet("classify", str(photos), "--model", "fake")
    assert (code, out) == (2, "")
    assert "b.png" in err
    code, out, err = samlet("classify", str(photos), "--model", "fake", "--max-broken", "1", "--top", "1")
    assert (code, len(out.splitlines())) == (3, 3)
    (photos / "a.png").write_bytes(b"no picture")
    (photos / "c.png").write_bytes(b"no picture")
    assert samlet("classify", str(photos), "--model", "fake", "--max-broken", "3")[0] == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "No model for this ships with samlet: name one, as in --model efficientvit-b1"),
        (("--model", "fake", "--top", "0"), "--top"),
        (("--model", "fake", "--batch-size", "0"), "--batch-size"),
    ],
)
def test_what_makes_no_sense_is_refused(samlet, network, photos, arguments, sentence):
    code, out, err = samlet("classify", str(photos), *arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert network.batches == []


def test_a_model_of_another_task_names_its_verb(samlet, photos):
    code, _, err = samlet("classify", str(photos), "--model", "efficientvit-seg-b0-cityscapes")
    assert code == 2
    assert "use `samlet parse`" in err
    assert "use `samlet segment`" in samlet("classify", str(photos), "--model", "mobile-sam")[2]
    assert "use `samlet classify`" in samlet("segment", str(photos), "--model", "efficientvit-b0", "--point", "1,1")[2]

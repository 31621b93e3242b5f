"""Fake runtimes of known speed: the choice must be the fastest of each."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from tests.fake_backend import FakeBackend

from samlet.benchmarking import tuning
from samlet.benchmarking.tuning import decide, thread_counts, tune
from samlet.errors import BackendError
from samlet.runtime.choice import Choice

USUAL = Choice("onnx", "onnx", "guessed")
ONNX, OPENVINO, ONNX_ON_1 = ("onnx", None), ("openvino", None), ("onnx", 1)


@dataclass
class _Clock:
    """Time that passes only where a fake says so."""

    now: float = 0.0

    def __call__(self):
        return self.now


class _Timed(FakeBackend):
    """Takes so many seconds to encode, and to decode a prompt."""

    def __init__(self, name, clock, encode_s, decode_s):
        super().__init__(name=name)
        self._clock, self._encode_s, self._decode_s = clock, encode_s, decode_s

    def encode(self, pixels):
        self._clock.now += self._encode_s
        return super().encode(pixels)

    def decode(self, features, tokens):
        self._clock.now += self._decode_s * len(tokens)
        return super().decode(features, tokens)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"precision": "float32"}))
    return tmp_path


@pytest.fixture
def runtimes(monkeypatch):
    """Makes what opens fakes that take {(runtime, threads or precision): (encode, decode)} seconds."""
    clock = _Clock()
    monkeypatch.setattr("samlet.benchmarking.timing.perf_counter", clock)
    monkeypatch.setattr(tuning, "usable_cores", lambda: 2)
    monkeypatch.setattr(tuning, "find_spec", lambda name: name)
    monkeypatch.setattr(tuning, "MANY_CLICKS", 2)
    monkeypatch.setattr(tuning, "ROUNDS", 1)

    def opener(seconds):
        def open_in(runtime, threads, precision=None):
            if (runtime, precision or threads) not in seconds:
                raise BackendError("This CPU cannot compute so.")
            return _Timed(runtime, clock, *seconds[runtime, precision or threads])

        return open_in

    return opener


SECONDS = {
    ("onnx", None): (0.4, 0.01),
    ("onnx", 1): (0.5, 0.02),
    ("openvino", None): (0.1, 0.04),
    ("openvino", 1): (0.2, 0.05),
}


def test_encoder_and_decoder_are_chosen_apart(folder, runtimes):
    told = []
    tuned = tune(folder, told.append, runtimes(SECONDS))
    assert tuned.choice.name == "openvino+onnx"
    assert (tuned.choice.encoder_threads, tuned.choice.decoder_threads) == (None, None)
    assert "openvino encodes in 100 ms" in tuned.choice.reason
    assert tuned.encode_ms == {"onnx": 400, "onnx on 1 thread": 500, "openvino": 100, "openvino on 1 thread": 200}
    assert tuned.many_ms["openvino"] == pytest.approx(2 * tuned.click_ms["openvino"])
    assert tuned.bfloat16 is None  # none of the fakes has it
    assert len(told) == 3
    assert json.loads(json.dumps(tuned.to_json()))["choice"]["encoder"] == "openvino"


def test_fewer_threads_where_they_are_faster(folder, runtimes):
    tuned = tune(folder, open_in=runtimes(SECONDS | {("onnx", 1): (0.05, 0.001)}))
    assert (tuned.choice.name, tuned.choice.encoder_threads, tuned.choice.decoder_threads) == ("onnx", 1, 1)


def test_without_openvino(folder, runtimes, monkeypatch):
    monkeypatch.setattr(tuning, "find_spec", lambda _: None)
    assert tune(folder, open_in=runtimes(SECONDS)).choice.name == "onnx"


@pytest.mark.parametrize(("encode_s", "faster", "offered"), [(0.05, 2, True), (0.2, 0.5, False)])
def test_bfloat16_is_offered_where_it_is_faster_and_its_masks_are_near(folder, runtimes, encode_s, faster, offered):
    offer = tune(folder, open_in=runtimes(SECONDS | {("openvino", "bfloat16"): (encode_s, 0.04)})).bfloat16
    assert offer.times_faster == pytest.approx(faster)
    assert (offer.mask_iou_mean, offer.mask_iou_min, offer.offered) == (1, 1, offered)


def test_a_small_gain_changes_nothing():
    assert decide({ONNX: 10.0, OPENVINO: 9.5}, {ONNX: 10.0, ONNX_ON_1: 9.5}, USUAL).name == "onnx"
    assert decide({ONNX: 10.0, OPENVINO: 8.0}, {ONNX: 10.0, ONNX_ON_1: 9.5}, USUAL).name == "openvino+onnx"
    assert decide({ONNX: 10.0}, {ONNX: 10.0, ONNX_ON_1: 5.0}, USUAL).decoder_threads == 1


def test_a_guess_that_could_not_be_measured_does_not_stay():
    assert decide({ONNX: 10.0}, {ONNX: 10.0}, Choice("openvino", "onnx", "guessed")).name == "onnx"


def test_thread_counts():
    assert thread_counts(1) == [None]
    assert thread_counts(2) == [None, 1]
    assert thread_counts(64) == [None, 32, 16]

"""Weights that are not here: who is told, who is asked, and that nothing is fetched for a command that cannot work."""

from __future__ import annotations

import pickle
from importlib.util import find_spec

import pytest

from samlet import loading
from samlet.cli import pull
from samlet.errors import MissingExtraError, MissingWeightsError, WeightsError
from samlet.models.registry import get_spec

NEEDS_TORCH = pytest.mark.skipif(find_spec("torch") is None, reason="without torch that is what is said first")


@pytest.fixture
def pulled(monkeypatch):
    """Names of models whose weights were fetched; they come in no time."""
    names = []
    monkeypatch.setattr(pull.weights, "fetch", lambda spec, _progress: names.append(spec.name))
    return names


@pytest.fixture
def answers(monkeypatch):
    """A person at a terminal; the list of what they will say."""
    given = []
    monkeypatch.setattr(pull, "_somebody_answers", lambda: True)
    monkeypatch.setattr(pull, "_yes", lambda _console, question: question and given.pop(0))
    return given


def missing_once():
    """A loader that lacks the weights of mobile-sam the first time."""
    left = [MissingWeightsError("They are not here.", "mobile-sam")]

    def load():
        if left:
            raise left.pop()
        return "the model"

    return load


def test_they_are_fetched_and_told(pulled, capsys):
    assert pull.with_weights(missing_once()) == "the model"
    assert pulled == ["mobile-sam"]
    told = capsys.readouterr().err
    checkpoint = get_spec("mobile-sam").checkpoint
    assert all(part in told for part in ("MB", checkpoint.license, checkpoint.sha256, checkpoint.file_name))


def test_on_a_terminal_somebody_is_asked(pulled, answers):
    answers.append(True)
    assert pull.with_weights(missing_once()) == "the model"
    assert (pulled, answers) == (["mobile-sam"], [])


def test_no_means_no(pulled, answers):
    answers.append(False)
    with pytest.raises(WeightsError, match="mobile-sam were not downloaded"):
        pull.with_weights(missing_once())
    assert pulled == []


def test_one_of_several_processes_does_not_ask(monkeypatch):
    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True, raising=False)
    monkeypatch.setenv("RANK", "0")
    assert not pull._somebody_answers()


@pytest.mark.parametrize(
    ("verb", "words", "sentence"),
    [
        ("segment", ("--backend", "openvino"), "samlet export mobile-sam --to onnx"),
        ("segment", ("--backend", "onnx"), "samlet export mobile-sam --to onnx"),
        ("segment", ("--threads", "2"), "OMP_NUM_THREADS"),
        ("segment", ("--device", "gpu"), 'There is no device "gpu": use "cuda".'),
        pytest.param("segment", ("--device", "hpu:7", "--backend", "torch"), "hpu:7", marks=NEEDS_TORCH),
        pytest.param("segment", ("--checkpoint", "x.pt"), "x.pt", marks=NEEDS_TORCH),
        ("everything", ("--output", "out", "--device", "abacus"), 'There is no device "abacus"'),
        (
            "everything",
            ("--output", "out", "--backend", "onnx", "--precision", "float16"),
            "precision can only be chosen",
        ),
    ],
)
def test_nothing_is_fetched_for_what_cannot_work(refused, photo, pulled, verb, words, sentence):
    point = ("--point", "10,10") if verb == "segment" else ()
    assert sentence in refused(verb, photo, *point, "--model", "vit_t", *words)
    assert pulled == []


def test_without_torch_an_official_file_is_not_fetched(refused, photo, monkeypatch, pulled):
    def no_torch(_module, extra, purpose):
        raise MissingExtraError(extra, purpose)

    monkeypatch.setattr(loading, "import_with_extra", no_torch)
    assert 'pip install "samlet[torch]"' in refused("segment", photo, "--point", "10,10", "--model", "vit_h")
    assert pulled == []


def test_the_error_survives_a_process():
    error = pickle.loads(pickle.dumps(MissingWeightsError("Not here.", "mobile-sam")))  # noqa: S301 - our own
    assert (str(error), error.model) == ("Not here.", "mobile-sam")

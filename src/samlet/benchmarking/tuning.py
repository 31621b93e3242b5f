"""Which runtime and how many threads encode and decode fastest on this machine: what `samlet doctor --tune` measures.

Everything is timed by turns, and of each the quickest run counts: other work on the machine only ever adds to a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.util import find_spec
from math import sqrt
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from samlet.backend import Backend, Embedding
from samlet.benchmarking.steps import PHOTO
from samlet.benchmarking.timing import take_turns
from samlet.errors import BackendError
from samlet.images import read_image
from samlet.loading import load
from samlet.predictor import Predictor
from samlet.preprocess import to_pixels
from samlet.prompts import Prompts
from samlet.runtime.artifact import precision_of
from samlet.runtime.choice import RUNTIMES, Choice, guess
from samlet.runtime.composed import ComposedBackend
from samlet.runtime.graphs import usable_cores

ROUNDS = 5
MANY_CLICKS = 16
# A gain of less is noise, and not worth two runtimes in memory or other threads than everybody else has.
WORTH_A_CHANGE = 1.1
MOST_COUNTS = 3  # of threads that are tried

Setting = tuple[str, "int | None"]  # a runtime and its threads; None: what suits the machine


class Opener(Protocol):
    """Opens the artifact in a runtime, as `samlet.load` does."""

    def __call__(self, runtime: str, threads: int | None, precision: str | None = None) -> Backend:
        """The backend; BackendError or MissingExtraError where it does not run."""
        ...


@dataclass(frozen=True)
class Offer:
    """What bfloat16 gains here and costs: how many times faster it encodes, and the IoU of its masks with float32's."""

    times_faster: float
    mask_iou_mean: float
    mask_iou_min: float
    offered: bool


@dataclass(frozen=True)
class Tuned:
    """What was measured, in milliseconds by setting, and what follows; `bfloat16` is None where it does not run."""

    encode_ms: Mapping[str, float]
    click_ms: Mapping[str, float]
    many_ms: Mapping[str, float]
    choice: Choice
    bfloat16: Offer | None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def tune(folder: Path, progress: Callable[[str], None] = lambda _: None, open_in: Opener | None = None) -> Tuned:
    """Time an artifact's encoder and decoder in each runtime that is here; nothing is stored.

    `progress` is told what is timed. `open_in`: how a runtime is opened. BackendError if the artifact does not open.
    """
    opener = open_in or _opener(folder)
    photo = read_image(PHOTO)
    settings = _settings(opener)
    progress("timing encoders")
    encode_ms = _time({setting: _encoding(backend, photo) for setting, backend in settings.items()})
    decoders = {setting: Predictor(backend) for setting, backend in settings.items()}
    embedding = next(iter(decoders.values())).embed(photo)
    progress("timing decoders")
    click_ms = _time({setting: _decoding(model, embedding, 1) for setting, model in decoders.items()})
    many_ms = _time({setting: _decoding(model, embedding, MANY_CLICKS) for setting, model in decoders.items()})
    # One click and many count the same: people click, everything mode asks hundreds.
    decode = {setting: sqrt(click_ms[setting] * many_ms[setting]) for setting in click_ms}
    stored = precision_of(folder)
    choice = decide(encode_ms, decode, guess(stored))
    progress("comparing bfloat16")
    offer = None if stored == "int8" else _offer(opener, settings, (choice.encoder, choice.encoder_threads), photo)
    return Tuned(_named(encode_ms), _named(click_ms), _named(many_ms), choice, offer)


def decide(encode_ms: Mapping[Setting, float], decode_ms: Mapping[Setting, float], usual: Choice) -> Choice:
    """The quickest setting of each; the `usual` one stays unless another is `WORTH_A_CHANGE`."""
    encoder = _quickest(encode_ms, (usual.encoder, usual.encoder_threads))
    decoder = _quickest(decode_ms, (usual.decoder, usual.decoder_threads))
    day = datetime.now(timezone.utc).date().isoformat()
    reason = (
        f"measured here on {day}: {name_of(encoder)} encodes in {encode_ms[encoder]:.0f} ms, "
        f"{name_of(decoder)} decodes fastest"
    )
    return Choice(encoder[0], decoder[0], reason, encoder[1], decoder[1])


def thread_counts(cores: int) -> list[int | None]:
    """What is tried: what suits the machine (None), then half of the cores, a quarter: a small model may want fewer."""
    halves = [cores >> shift for shift in range(1, MOST_COUNTS) if cores >> shift]
    return [None, *halves]


def name_of(setting: Setting) -> str:
    """RUNTIME, or RUNTIME on N threads."""
    runtime, threads = setting
    return runtime if threads is None else f"{runtime} on {threads} thread{'s' if threads > 1 else ''}"


def _opener(folder: Path) -> Opener:
    def open_in(runtime: str, threads: int | None, precision: str | None = None) -> Backend:
        return load(folder, backend=runtime, threads=threads, precision=precision).backend

    return open_in


def _settings(open_in: Opener) -> dict[Setting, Backend]:
    """A backend for each setting that can be opened here."""
    runtimes = [name for name in RUNTIMES if name == "onnx" or find_spec(name)]
    return {(name, threads): open_in(name, threads) for name in runtimes for threads in thread_counts(usable_cores())}


def _offer(
    open_in: Opener, settings: Mapping[Setting, Backend], encoder: Setting, photo: NDArray[np.uint8]
) -> Offer | None:
    """What bfloat16 would be in place of the chosen encoder; None where it does not run. Decoders stay in float32."""
    from samlet.export.parity import PHOTOS, compare

    try:
        half = open_in("openvino", None, "bfloat16")
        run = _encoding(half, photo)
        run()
    except BackendError:  # openvino is not installed, or this CPU has no bfloat16
        return None
    times_ms = _time({encoder: _encoding(settings[encoder], photo), ("bfloat16", None): run})
    decoder = settings["onnx", None]
    parity = compare(decoder, ComposedBackend(half, decoder), PHOTOS)
    faster = times_ms[encoder] / times_ms["bfloat16", None]
    offered = faster >= WORTH_A_CHANGE and parity.near_float32
    return Offer(faster, parity.mean_mask_iou, parity.least_mask_iou, offered)


def _quickest(times_ms: Mapping[Setting, float], usual: Setting) -> Setting:
    quickest = min(times_ms, key=lambda setting: times_ms[setting])
    stays = usual in times_ms and times_ms[usual] < WORTH_A_CHANGE * times_ms[quickest]
    return usual if stays else quickest


def _time(runs: Mapping[Setting, Callable[[], object]]) -> dict[Setting, float]:
    """Milliseconds of the quickest of `ROUNDS` runs."""
    names = {name_of(setting): setting for setting in runs}
    seconds = take_turns({name: runs[setting] for name, setting in names.items()}, ROUNDS)
    return {names[name]: 1e3 * min(times) for name, times in seconds.items()}


def _named(times_ms: Mapping[Setting, float]) -> dict[str, float]:
    return {name_of(setting): round(value, 1) for setting, value in times_ms.items()}


def _encoding(backend: Backend, photo: NDArray[np.uint8]) -> Callable[[], object]:
    pixels = to_pixels(photo, backend.spec.image)[0][None]
    return lambda: backend.encode(pixels)


def _decoding(model: Predictor, embedding: Embedding, clicks: int) -> Callable[[], object]:
    """So many clicks, up to the logits of the best mask of each."""
    height, width = embedding.frame.size_hw
    points_xy = np.random.default_rng(0).uniform(0, (width - 1, height - 1), (clicks, 1, 2))
    prompts = Prompts.points(points_xy)

    def decode() -> object:
        logits = model.decode(embedding, prompts)
        return logits.keep(np.arange(clicks), logits.iou.argmax(axis=1)).low_res()

    return decode

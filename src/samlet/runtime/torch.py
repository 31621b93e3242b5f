"""The torch backend: a `samlet.models.Sam` where it lies, on CPU, CUDA or MPS.

On CUDA its encoder computes channels last and, from the second time that pixels of a shape come, as one CUDA graph.
This was never run on a GPU: what a CPU can run of it is tested.

Candidates stay on the device until somebody asks for arrays, so a caller that filters by predicted IoU, stability and
box moves only what it keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from threading import Lock
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from samlet.errors import BackendError
from samlet.geometry.frames import ImageFrame
from samlet.models import Sam
from samlet.models.half import half_encoder
from samlet.nn.lone_decoder import LoneDecoder, nothing_mixed
from samlet.nn.mask_upscaler import MaskUpscaler
from samlet.nn.of_weights import OfWeights
from samlet.nn.prompt_decoder import ImageProjector, ImageSide, Mixture, PromptDecoder
from samlet.nn.sam import token_bias
from samlet.reading import in_short
from samlet.runtime.kept_memory import keep_freed_memory
from samlet.runtime.shared import IMAGES_KEPT, LoneImage, Part, Run, SharedOfImages
from samlet.spec import ModelSpec
from samlet.tokens import PromptTokens

# A prompt takes about 10 MB in the decoder and 30 MB in the upscaler. On a CPU several read the weights for tokens
# once (`PromptDecoder` still takes images one by one), and masks are made one by one, as one stays in the cache;
# elsewhere each operation is worth starting only for many.
ROWS_PER_RUN = {"cpu": 8}
ROWS_PER_UPSCALE = {"cpu": 1}
ROWS_ELSEWHERE = 32

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}  # of the encoder
# Where convolutions of channels-last maps are faster, and where an encoder can be captured as one graph.
CHANNELS_LAST_ON = CAPTURED_ON = ("cuda",)
CAPTURED_SHAPES = 2  # of pixels; each graph holds the memory of an encoder's activations
SIDE_BY_SIDE_ON = ("cpu",)
WARM_UPS = 3  # runs before a capture, in which libraries choose their kernels

Item = TypeVar("Item")
Result = TypeVar("Result")


def to_tensor(array: NDArray[Any], device: str | torch.device) -> Tensor:
    """A copy of an array, of the same type, on `device`. Arrays of an embedding are read-only, tensors are not."""
    return torch.from_numpy(np.array(array, order="C")).to(device)


def default_precision(device: str | torch.device) -> str:
    """What an encoder computes in unless told otherwise: "float16" on CUDA, "float32" elsewhere.

    Tensor cores of every generation take float16 (bfloat16 only since Ampere), and it rounds 8 times finer than
    bfloat16. What would overflow stays float32 (`samlet.models.half`); an embedding that still holds an infinity or
    a NaN is computed again in float32.
    """
    return "float16" if str(device).partition(":")[0] == "cuda" else "float32"


class TorchBackend:
    """Backend over a torch model, which is moved to `device` ("cpu", "cuda", "mps", …) and put in eval mode.

    `precision` of the encoder: one of `PRECISIONS`; the decoder stays float32. `images_kept`: for how many images the
    tensors that all their prompts share wait for more prompts (31 MB each in SAM's sizes). Safe to use from many
    threads as long as nobody trains the model meanwhile; what is made of its weights is made again once they have
    changed. BackendError for another precision, or if the device is not there.
    """

    name = "torch"

    def __init__(
        self,
        module: Sam,
        spec: ModelSpec,
        device: str | torch.device = "cpu",
        precision: str = "float32",
        images_kept: int = IMAGES_KEPT,
    ) -> None:
        self.spec: ModelSpec = spec
        self.device = usable_device(device)
        self.precision = known_precision(precision)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.module = module.to(self.device).eval()
        if self.device.type in CHANNELS_LAST_ON:
            module.image_encoder.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - its stubs
        encoder = [part for part in module.children() if part not in (module.prompt_encoder, module.mask_decoder)]
        decoder = [module.prompt_encoder, module.mask_decoder]
        self._encoder = OfWeights(encoder, lambda: _Encoder(module, PRECISIONS[precision]))
        self._decoder = OfWeights(decoder, lambda: _Decoder(module, images_kept))

    @torch.inference_mode()
    def encode(self, pixels: NDArray[np.float32]) -> Mapping[str, NDArray[Any]]:
        """Normalized pixels float32 [N, 3, S, S] → "image_embeddings" float32 [N, C, G, G] and what else it has."""
        tensor = to_tensor(pixels, self.device)
        if self.device.type in CHANNELS_LAST_ON:
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        return self._encoder.get()(tensor)

    @torch.inference_mode()
    def decode(self, features: Mapping[str, NDArray[Any]], tokens: PromptTokens) -> TorchMaskLogits:
        """P prompts → candidates [P, M]; see `samlet.backend.Backend`."""
        decoder = self._decoder.get()
        points_xy, labels = (to_tensor(array, self.device) for array in (tokens.points_xy, tokens.labels))
        size = ROWS_PER_RUN.get(self.device.type, ROWS_ELSEWHERE)
        if self.device.type in SIDE_BY_SIDE_ON:
            size = min(size, ceil(len(tokens) / torch.get_num_threads()))
        iou = torch.empty(len(tokens), self.spec.mask_tokens, device=self.device)

        def answer(run: Run[ImageSide]) -> _Answer:
            iou[run.rows], answered = decoder.decode(run, points_xy[run.rows], labels[run.rows])
            return answered

        answers = self._side_by_side(answer, list(decoder.images.runs(features["image_embeddings"], tokens, size)))
        side = self.spec.image.low_res
        return TorchMaskLogits(iou, lambda rows, columns: self._upscale(decoder, answers, rows, columns), side)

    def _upscale(self, decoder: _Decoder, answers: Sequence[_Answer], rows: Tensor, columns: Tensor) -> Tensor:
        """Logits [K, L, L]. The masks of a prompt share nearly all the work, so each prompt runs once."""
        asked = rows.cpu().numpy()
        side = self.spec.image.low_res
        masks = torch.empty(len(asked), side, side, device=self.device)
        size = ROWS_PER_UPSCALE.get(self.device.type, ROWS_ELSEWHERE)

        def upscale(item: tuple[_Answer, Part]) -> None:
            answer, part = item
            logits = decoder.upscale(answer, part)
            masks[part.here] = logits[to_tensor(part.prompt_of, self.device), columns[part.here]]

        self._side_by_side(upscale, [(answer, part) for answer in answers for part in answer.run.parts(asked, size)])
        return masks

    def _side_by_side(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """work(item) of every item; on a CPU each of several has one thread: many operations are too small to share."""
        lanes = min(torch.get_num_threads(), len(items)) if self.device.type in SIDE_BY_SIDE_ON else 1
        if lanes < 2:
            return [work(item) for item in items]
        with _single_threaded(), ThreadPoolExecutor(lanes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(torch.inference_mode()(work), items))


class _SingleThreaded:
    """While somebody is inside, new threads may use one thread each; the last to leave restores torch's number."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._threads = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            self._threads = self._threads if self._inside else torch.get_num_threads()
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    torch.set_num_threads(self._threads)


_single_threaded = _SingleThreaded()


class _Encoder:
    """The encoder of a model in a precision, with its weights as they are now.

    Pixels of a shape that comes a second time are encoded by a captured graph, if their device has such and the model's
    features are its embedding alone: others move numbers to and from the CPU, which no graph can hold.
    """

    def __init__(self, module: Sam, dtype: torch.dtype) -> None:
        self._whole = module
        self._module = module if dtype == torch.float32 else half_encoder(module, dtype)
        self._overflows = dtype == torch.float16
        self._capturable = module.device.type in CAPTURED_ON and type(module).features is Sam.features
        self._seen: set[torch.Size] = set()
        self._captured: dict[torch.Size, _Captured | None] = {}
        self._lock = Lock()

    def __call__(self, pixels: Tensor) -> dict[str, NDArray[Any]]:
        captured = self._graph_for(pixels) if self._capturable else None
        arrays = _arrays(self._module.features(pixels)) if captured is None else captured(pixels)
        if self._overflows and not np.isfinite(arrays["image_embeddings"]).all():
            return _arrays(self._whole.features(pixels))
        return arrays

    def _graph_for(self, pixels: Tensor) -> _Captured | None:
        """The graph for pixels of this shape; None the first time, for too many shapes, and where capturing fails."""
        shape = pixels.shape
        with self._lock:
            if shape not in self._seen:
                self._seen.add(shape)
                return None
            if shape not in self._captured and len(self._captured) < CAPTURED_SHAPES:
                try:
                    self._captured[shape] = _Captured(self._module, pixels)
                except RuntimeError:  # an encoder with a step that no graph can hold runs step by step
                    self._captured[shape] = None
            return self._captured.get(shape)


class _Captured:
    """An encoder captured as a CUDA graph for pixels of one shape: its kernels are started all at once."""

    def __init__(self, module: Sam, pixels: Tensor) -> None:
        self._device = pixels.device
        self._pixels = pixels.clone()
        self._lock = Lock()
        with torch.cuda.device(self._device):
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(WARM_UPS):
                    module.features(self._pixels)
            torch.cuda.current_stream().wait_stream(aside)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._features = module.features(self._pixels)

    def __call__(self, pixels: Tensor) -> dict[str, NDArray[Any]]:
        """What the encoder says, one caller at a time: the graph writes into the same tensors."""
        with self._lock, torch.cuda.device(self._device):
            self._pixels.copy_(pixels)
            self._graph.replay()
            return _arrays(self._features)


class _Decoder:
    """The fast decoder of a model with its weights as they are now, and what it keeps of images."""

    def __init__(self, module: Sam, images_kept: int) -> None:
        self._module = module
        self._projector = ImageProjector(module.mask_decoder, module.prompt_encoder)
        self._decoder = PromptDecoder(module.mask_decoder)
        self._lone_decoder = LoneDecoder(module.mask_decoder)
        self._positions = module.prompt_encoder.get_dense_pe()
        self._upscaler = MaskUpscaler(module.mask_decoder)
        self.images: SharedOfImages[ImageSide] = SharedOfImages(self._project, images_kept)

    def _project(self, image: LoneImage) -> ImageSide:
        return self._projector(self._with_dense_prompt(image))

    def _with_dense_prompt(self, image: LoneImage) -> Tensor:
        """The embedding with its hint, or without: [1, C, G, G]."""
        prompt_encoder, device = self._module.prompt_encoder, self._module.device
        if image.mask_hint is None:
            dense = prompt_encoder.no_mask(1)
        else:
            dense = prompt_encoder.embed_mask(to_tensor(image.mask_hint, device)[:, None])
        return to_tensor(image.embedding, device).add_(dense)

    def decode(self, run: Run[ImageSide], points_xy: Tensor, labels: Tensor) -> tuple[Tensor, _Answer]:
        """Tokens [P, T, 2], [P, T] of a run → predicted IoU [P, M], and what masks are made from."""
        sparse = self._module.prompt_encoder.embed_tokens(points_xy, labels)
        bias = token_bias(labels, sparse.dtype, self._module.mask_decoder)
        if isinstance(run.shared, LoneImage):
            # Pixel by pixel, as the decoder reads it: one copy instead of slow steps through the other order.
            image = self._with_dense_prompt(run.shared).contiguous(memory_format=torch.channels_last)
            iou, mask_tokens, upscaled = self._lone_decoder(image, self._positions, sparse, bias)
            return iou, _Answer(run, mask_tokens, nothing_mixed(upscaled, sparse.shape[-1]), upscaled)
        iou, mask_tokens, mixture = self._decoder(run.shared, sparse, bias)
        return iou, _Answer(run, mask_tokens, mixture, run.shared.upscaled)

    def upscale(self, answer: _Answer, part: Part) -> Tensor:
        """Logits [S, M, L, L] of some prompts of a run."""
        mixture = Mixture(*(piece[part.places] for piece in answer.mixture))
        every = torch.arange(self._module.mask_decoder.masks, device=mixture.scale.device)
        return self._upscaler(answer.upscaled, mixture, answer.mask_tokens[part.places], every)


@dataclass(frozen=True)
class _Answer:
    """What the decoder said of the prompts of a run."""

    run: Run[ImageSide]
    mask_tokens: Tensor
    mixture: Mixture
    upscaled: Tensor


class TorchMaskLogits:
    """MaskLogits in torch: `iou` [P, M] and what upscales the masks at K pairs of indices to [K, L, L]; `side` is L."""

    def __init__(self, iou: Tensor, upscale: Callable[[Tensor, Tensor], Tensor], side: int = 256) -> None:
        self.iou: NDArray[np.float32] = _to_array(iou)
        self._iou = iou
        self._upscale = upscale
        self._side = side
        self._logits: Tensor | None = None

    @torch.inference_mode()
    def keep(self, rows: ArrayLike, columns: ArrayLike) -> TorchMaskLogits:
        """The K masks at (rows[k], columns[k]), shape [K, 1]; what has been upscaled already is not upscaled again."""
        row, column = (to_tensor(np.asarray(index, np.int64), self._iou.device) for index in (rows, columns))
        kept = TorchMaskLogits(
            self._iou[row, column][:, None], lambda r, _: self._upscale(row[r], column[r]), self._side
        )
        if self._logits is not None:
            kept._logits = self._logits[row, column][:, None]
        return kept

    def low_res(self) -> NDArray[np.float32]:
        """Logits over the whole prompt canvas: float32 [P, M, L, L]."""
        return _to_array(self._low_res())

    @torch.inference_mode()
    def stability(self, offset: float = 1.0) -> NDArray[np.float32]:
        """IoU between the masks cut at +offset and -offset, 0 for an empty mask: float32 [P, M]."""
        logits = self._low_res()
        strict, loose = ((logits > cut).sum((-2, -1)) for cut in (offset, -offset))
        return _to_array(strict / loose.clamp(min=1))

    @torch.inference_mode()
    def boxes_xyxy(self) -> NDArray[np.float32]:
        """Inclusive corners of each mask in low-resolution pixels; zeros for an empty mask: float32 [P, M, 4]."""
        masks = self._low_res() > 0
        left, right = _first_and_last(masks.any(-2))
        top, bottom = _first_and_last(masks.any(-1))
        boxes = torch.stack([left, top, right, bottom], dim=-1) * masks.any(-1).any(-1)[..., None]
        return _to_array(boxes.float())

    @torch.inference_mode()
    def to_image(self, frame: ImageFrame) -> NDArray[np.float32]:
        """Logits in image pixels: float32 [P, M, H, W]."""
        height, width = frame.prompt_hw
        canvas = (frame.prompt_canvas, frame.prompt_canvas)
        logits = F.interpolate(self._low_res(), canvas, mode="bilinear", align_corners=False)
        logits = F.interpolate(logits[..., :height, :width], frame.size_hw, mode="bilinear", align_corners=False)
        return _to_array(logits)

    @torch.inference_mode()
    def _low_res(self) -> Tensor:
        if self._logits is None:
            rows, columns = torch.ones_like(self._iou).nonzero(as_tuple=True)
            self._logits = self._upscale(rows, columns).reshape(*self._iou.shape, self._side, self._side)
        return self._logits


def known_precision(precision: str) -> str:
    """The precision of an encoder, if it is one of `PRECISIONS`, else BackendError."""
    if precision not in PRECISIONS:
        raise BackendError(f'There is no precision "{precision}": use {", ".join(PRECISIONS)}.')
    return precision


def usable_device(device: str | torch.device) -> torch.device:
    """The device, once something has been put on it: only then does torch say that it is not there (BackendError)."""
    try:
        return torch.zeros(1, device=device).device
    except (RuntimeError, AssertionError, ImportError) as error:  # the last: a kind whose package is not installed
        raise BackendError(f'torch cannot use the device "{device}" ({in_short(error)}): try "cpu".') from error


def _to_array(tensor: Tensor) -> NDArray[Any]:
    return tensor.cpu().numpy()


def _arrays(features: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    return {name: _to_array(tensor.float()) for name, tensor in features.items()}


def _first_and_last(line: Tensor) -> tuple[Tensor, Tensor]:
    """Index of the first and the last True of [..., L]; (0, L - 1) where there is none."""
    line = line.int()
    return line.argmax(-1), line.shape[-1] - 1 - line.flip(-1).argmax(-1)

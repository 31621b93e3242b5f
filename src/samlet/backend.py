"""The one seam between samlet and whatever runs the network: two verbs, `encode` and `decode`.

It knows arrays and frames; it does not know models, files or devices. `MaskLogits` is lazy: the predicted IoU of every
candidate mask is known before any mask is upscaled, so that a caller pays only for the masks it keeps.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from samlet.errors import InputError
from samlet.files import write_aside
from samlet.geometry.boxes import boxes_from_masks
from samlet.geometry.frames import ImageFrame
from samlet.geometry.regions import stability_score
from samlet.marks import check_ours, is_our_archive
from samlet.reading import decoding, is_missing, read_npz
from samlet.tokens import PromptTokens

if TYPE_CHECKING:
    from samlet.spec import ModelSpec

_LARGEST_PX = 100_000_000  # of an image, and of a canvas
_UNKNOWN_WEIGHTS = (
    "{path} does not say which weights of {model!r} made it: masks are right only if the model still has the same. "
    "Embed the image again to be sure."
)
FEATURE_KEY = "features/"  # prefix of feature arrays in an .npz, so that a feature can have any name
_MEMBERS = {"model.npy", "size_hw.npy", "canvases.npy"}  # of every embedding's .npz


class MaskLogits(Protocol):
    """Candidate masks of P prompts, M each, before the threshold at 0; low resolution is L by L (`ImageSpec.low_res`).

    From a backend M is `ModelSpec.mask_tokens`, in SAM 4: column 0 is the single-mask answer, columns 1 to 3 the three
    of ambiguous prompts.
    """

    @property
    def iou(self) -> NDArray[np.float32]:
        """The IoU the model predicts for each mask, float32 [P, M]; known without upscaling."""
        ...

    def keep(self, rows: ArrayLike, columns: ArrayLike) -> MaskLogits:
        """The K masks at (rows[k], columns[k]), as MaskLogits of shape [K, 1]."""
        ...

    def low_res(self) -> NDArray[np.float32]:
        """Logits over the whole prompt canvas, padding included: float32 [P, M, L, L]."""
        ...

    def stability(self, offset: float = 1.0) -> NDArray[np.float32]:
        """IoU between the masks cut at +offset and -offset, at low resolution: float32 [P, M]."""
        ...

    def boxes_xyxy(self) -> NDArray[np.float32]:
        """Inclusive corners of each mask in low-resolution pixels; zeros for an empty mask: float32 [P, M, 4]."""
        ...

    def to_image(self, frame: ImageFrame) -> NDArray[np.float32]:
        """Logits in image pixels: float32 [P, M, H, W]."""
        ...


class ArrayMaskLogits:
    """MaskLogits in NumPy.

    `iou`: [P, M]. `upscale(rows, columns)` returns float32 [K, L, L], the masks at K pairs of indices (int64 [K]
    each); it runs when logits are first asked for, once, for the masks of this object only.
    `side` is L, for when there are no masks to tell it.
    """

    def __init__(
        self,
        iou: NDArray[np.float32],
        upscale: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]],
        side: int = 256,
    ) -> None:
        self.iou: NDArray[np.float32] = iou
        self._upscale = upscale
        self._side = side
        self._low_res: NDArray[np.float32] | None = None

    def keep(self, rows: ArrayLike, columns: ArrayLike) -> ArrayMaskLogits:
        """The K masks at (rows[k], columns[k]), shape [K, 1]; what has been upscaled already is not upscaled again."""
        row, column = np.asarray(rows, np.int64), np.asarray(columns, np.int64)
        kept = ArrayMaskLogits(
            self.iou[row, column][:, None], lambda r, _: self._upscale(row[r], column[r]), self._side
        )
        if self._low_res is not None:
            kept._low_res = self._low_res[row, column][:, None]
        return kept

    def low_res(self) -> NDArray[np.float32]:
        """Logits float32 [P, M, L, L], upscaled on the first call."""
        if self._low_res is None:
            rows, columns = np.indices(self.iou.shape).reshape(2, -1)
            # No runtime is asked for nothing: some refuse a batch of none.
            logits = self._upscale(rows, columns) if rows.size else np.empty((0, self._side, self._side), np.float32)
            self._low_res = logits.reshape(*self.iou.shape, *logits.shape[-2:])
        return self._low_res

    def stability(self, offset: float = 1.0) -> NDArray[np.float32]:
        """IoU between the masks cut at +offset and -offset, at low resolution: float32 [P, M]."""
        return stability_score(self.low_res(), offset=offset)

    def boxes_xyxy(self) -> NDArray[np.float32]:
        """Inclusive corners of each mask in low-resolution pixels; zeros for an empty mask: float32 [P, M, 4]."""
        return boxes_from_masks(self.low_res() > 0).astype(np.float32)

    def to_image(self, frame: ImageFrame) -> NDArray[np.float32]:
        """Logits in image pixels, float32 [P, M, H, W]: 4·P·M·H·W bytes, see `each_in_image` for many masks."""
        return frame.logits_to_image(self.low_res())


def each_in_image(logits: MaskLogits, frame: ImageFrame) -> Iterator[NDArray[np.float32]]:
    """The P·M masks row by row as image logits, float32 [H, W] each: one full-size array in memory at a time."""
    logits.low_res()  # upscales all of them in one call; the single masks below are slices of it
    for row, column in np.ndindex(*logits.iou.shape):
        yield logits.keep([row], [column]).to_image(frame)[0, 0]


@dataclass(frozen=True, eq=False, repr=False)
class Embedding:
    """What the encoder says of one image: immutable, so it can be cached, saved and used from many threads.

    `features`: name → read-only array, batch axis 1 (`image_embeddings` float32 [1, C, G, G]). `frame`: the image's
    pixels against the model's canvases. `model`: name of the model that made it, the only one that can decode it;
    `weights`: what identifies that model's weights, None where nobody knows.
    """

    features: Mapping[str, NDArray[Any]]
    frame: ImageFrame
    model: str
    weights: str | None = None

    def __post_init__(self) -> None:
        frozen = {name: _read_only(array) for name, array in self.features.items()}
        object.__setattr__(self, "features", MappingProxyType(frozen))

    def __repr__(self) -> str:
        height, width = self.frame.size_hw
        return f"Embedding(an image of {width} x {height} pixels, by {self.model!r})"

    def __reduce__(self) -> tuple[type[Embedding], tuple[dict[str, NDArray[Any]], ImageFrame, str, str | None]]:
        # A mapping proxy cannot be pickled, and embeddings travel between processes.
        return Embedding, (dict(self.features), self.frame, self.model, self.weights)

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the embedding as an `.npz` file; OutputError if that is impossible.

        An embedding that lies there is replaced, another file is an OutputError unless `overwrite`.
        """
        if not overwrite:
            remedy = "choose another name, or pass overwrite=True"
            check_ours([Path(path)], lambda there: is_our_archive(there, _MEMBERS), remedy)
        arrays: dict[str, Any] = {FEATURE_KEY + name: array for name, array in self.features.items()}
        frame = self.frame
        facts = {
            "model": self.model,
            "weights": self.weights or "",
            "size_hw": np.array(frame.size_hw),
            "canvases": np.array([frame.canvas, frame.prompt_canvas]),
            "low_res": np.array([frame.low_res]),
            "fit": np.array(frame.fit),
        }
        # An open file, because savez would add a suffix to a bare path.
        with write_aside(Path(path)) as aside, aside.open("wb") as file:
            np.savez(file, **facts, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Embedding:
        """Read what `save` wrote; InputError if the file is missing or is not an embedding.

        A file from before embeddings named their weights is read with a warning: nobody can tell whether they fit.
        """
        if is_missing(path):
            raise InputError(f"There is no embedding at {path}: give a file written by Embedding.save.")
        arrays = read_npz(path, "an embedding written by samlet", InputError)
        features = {name[len(FEATURE_KEY) :]: array for name, array in arrays.items() if name.startswith(FEATURE_KEY)}
        with decoding(str(path), "an embedding written by samlet", InputError):
            size_hw, canvases, model = arrays["size_hw"], arrays["canvases"], arrays["model"]
            if not (_are_sides(size_hw) and _are_sides(canvases) and model.dtype.kind == "U" and model.ndim == 0):
                raise InputError(f"{path} states no size of an image: make the embedding again with embed().")
            if not features or not all(map(_is_feature, features.values())):
                raise InputError(f"{path} holds no sound features: make the embedding again with embed().")
            (height, width), (canvas, prompt_canvas) = size_hw.tolist(), canvases.tolist()
            if "weights" not in arrays:
                warnings.warn(_UNKNOWN_WEIGHTS.format(path=path, model=str(model)), stacklevel=2)
            weights = str(arrays.get("weights", "")) or None
            # Files of earlier versions state neither: their models were all like SAM.
            low_res, fit = arrays.get("low_res", np.array([256])), arrays.get("fit", np.array("pad"))
            if not _is_side(low_res) or fit not in ("pad", "stretch"):
                raise InputError(f"{path} states no size of its logits: make the embedding again with embed().")
            stretched: Literal["pad", "stretch"] = "stretch" if fit == "stretch" else "pad"
            frame = ImageFrame((height, width), canvas, prompt_canvas, int(low_res[0]), stretched)
            return cls(features, frame, str(model), weights)


class LogitsBackend(Protocol):
    """Runs a network for classification or semantic segmentation: one verb. Safe to use from many threads."""

    name: str
    spec: ModelSpec

    def logits(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normalized pixels float32 [N, 3, H, W] → logits [N, K], or [N, K, h, w] for segmentation."""
        ...


class Backend(Protocol):
    """What runs the network. It must be usable from many threads at once."""

    @property
    def name(self) -> str:
        """Which runtime it is: "onnx", "torch" or another."""
        ...

    @property
    def spec(self) -> ModelSpec:
        """Which model it runs."""
        ...

    def encode(self, pixels: NDArray[np.float32]) -> Mapping[str, NDArray[Any]]:
        """Normalized pixels float32 [N, 3, S, S] → features, N first; "image_embeddings" is [N, C, G, G]."""
        ...

    def decode(self, features: Mapping[str, NDArray[Any]], tokens: PromptTokens) -> MaskLogits:
        """P prompts about the images of `features` → MaskLogits [P, M]; BackendError for a kind it cannot answer."""
        ...


def _are_sides(array: NDArray[Any]) -> bool:
    """Whether it is [height, width], or two sides of canvases, of a sane size."""
    sound = array.shape == (2,) and array.dtype.kind == "i" and array.min() > 0
    return sound and int(array[0]) * int(array[1]) <= _LARGEST_PX


def _is_side(array: NDArray[Any]) -> bool:
    """Whether it is [side] of low-resolution logits, of a sane size."""
    return array.shape == (1,) and array.dtype.kind == "i" and 1 <= int(array[0]) ** 2 <= _LARGEST_PX


def _is_feature(array: NDArray[Any]) -> bool:
    """Whether it holds numbers, and of one image."""
    return array.dtype.kind in "fiu" and array.ndim > 0 and len(array) == 1 and bool(np.isfinite(array).all())


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A copy that nobody can write to: the caller may go on using the original."""
    copy = np.array(array)
    copy.setflags(write=False)
    return copy

"""segment_anything's SamPredictor: it remembers an image and answers prompts about it."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from samlet.backend import Embedding, MaskLogits, each_in_image
from samlet.errors import ImageError, InputError, MissingExtraError
from samlet.extras import import_with_extra
from samlet.geometry.box_prior import with_box_prior
from samlet.geometry.frames import ImageFrame
from samlet.images import ImageSource, read_image
from samlet.predictor import Predictor
from samlet.preprocess import frame_of
from samlet.sam_api.models import Module, predictor_of
from samlet.sam_api.prompts import PromptBatch, as_array, one_box
from samlet.sam_api.transform import ResizeLongestSide, Tensor
from samlet.spec import ImageSpec, ModelSpec

MaskCount: TypeAlias = int  # 1, 3 or 4 in SAM


class SamPredictor:
    """Masks of one image at a time: `set_image`, then `predict` as often as you like.

    `sam_model` is what `samlet.load()`, `samlet.models.create()` or `sam_model_registry[...]()` returns. Attributes:
    `model`, `transform`, `is_image_set`, `original_size` and `input_size` (H, W; the latter in the prompt square).
    """

    def __init__(self, sam_model: Predictor | Module) -> None:
        self.model = sam_model
        self._predictor = predictor_of(sam_model)
        image = self._predictor.spec.image
        self.transform = ResizeLongestSide(image.prompt_canvas, image.canvas, image.fit)
        self._embedding: Embedding | None = None

    @property
    def is_image_set(self) -> bool:
        """Whether there is an image to ask about."""
        return self._embedding is not None

    @property
    def original_size(self) -> tuple[int, int] | None:
        """(H, W) of the image, None before `set_image`."""
        return None if self._embedding is None else self._embedding.frame.size_hw

    @property
    def input_size(self) -> tuple[int, int] | None:
        """(H, W) of the image in the square of prompt coordinates, None before `set_image`."""
        return None if self._embedding is None else self._embedding.frame.prompt_hw

    @property
    def features(self) -> Tensor | NDArray[np.float32] | None:
        """What `get_image_embedding` returns, None before `set_image`."""
        return None if self._embedding is None else self.get_image_embedding()

    @property
    def device(self) -> Any:
        """Where tensors are returned: the torch model's device, "cpu" for any other model."""
        return "cpu" if isinstance(self.model, Predictor) else self.model.device

    def set_image(self, image: ImageSource, image_format: str = "RGB") -> None:
        """Encode an image: uint8 [H, W, 3] in `image_format` "RGB" or "BGR" (or a path, or a PIL image)."""
        if image_format not in ("RGB", "BGR"):
            raise InputError(f'image_format is "{image_format}": use "RGB" or "BGR".')
        pixels = read_image(image)
        self._embedding = self._predictor.embed(pixels if image_format == "RGB" else pixels[..., ::-1])

    def set_torch_image(self, transformed_image: Tensor, original_image_size: tuple[int, int]) -> None:
        """Encode a tensor [1, 3, h, w], 0..255, resized already as `transform.apply_image` does, not yet normalized."""
        spec = self._predictor.spec
        height, width = original_image_size
        frame = frame_of((int(height), int(width)), spec.image)
        image = as_array(transformed_image, "transformed_image")
        if image.shape != (1, 3, *frame.content_hw):
            raise ImageError(
                f"transformed_image has the shape {list(image.shape)}, but an image of {frame.size_hw} (H, W) becomes "
                f"{[1, 3, *frame.content_hw]}: use transform.apply_image."
            )
        features = self._predictor.backend.encode(_normalized(image, spec.image))
        self._embedding = Embedding(features, frame, spec.name)

    def predict(
        self,
        point_coords: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        box: ArrayLike | None = None,
        mask_input: ArrayLike | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        *,
        num_multimask_outputs: MaskCount | None = None,
        use_stability_score: bool = False,
    ) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]:
        """Masks of one prompt, in image pixels: points [N, 2] (x, y) with labels [N] (1, 0), a box [4] XYXY, logits
        [1, L, L] of an earlier answer, any of them or none.

        Returns masks [C, H, W] (bool, or float32 logits), scores [C] and low-resolution logits [C, L, L]; C is
        EdgeSAM's `num_multimask_outputs`, or 3 with `multimask_output`, else 1. Scores are predicted IoU, or with
        EdgeSAM's `use_stability_score` stability. PromptError for wrong shapes, InputError before `set_image`.
        """
        size = self._image().frame.size_hw
        points, labels, hint = _arrays(point_coords=point_coords, point_labels=point_labels, mask_input=mask_input)
        prompt = PromptBatch(
            None if points is None else self.transform.apply_coords(points, size)[None],
            None if labels is None else labels[None],
            None if box is None else self.transform.apply_boxes(one_box(box), size),
            None if hint is None else hint[None],
            self._predictor.spec.image.low_res,
        )
        columns = _columns(self._predictor.spec, multimask_output, num_multimask_outputs)
        masks, scores, low_res = self._masks_of(prompt, columns, return_logits, use_stability_score)
        return masks[0], scores[0], low_res[0]

    def predict_torch(
        self,
        point_coords: Tensor | None,
        point_labels: Tensor | None,
        boxes: Tensor | None = None,
        mask_input: Tensor | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        *,
        num_multimask_outputs: MaskCount | None = None,
        use_stability_score: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Masks of B prompts given as tensors in the prompt square (`transform.apply_coords_torch`): points [B, N, 2],
        labels [B, N], boxes [B, 4], low-resolution logits [B, 1, L, L] (or one for all B).

        Returns tensors on `device`: masks [B, C, H, W], scores [B, C], low-resolution logits [B, C, L, L]; C and
        scores as in `predict` (EdgeSAM's own function of this name gives stability unasked; this one does not).
        """
        arrays = _arrays(point_coords=point_coords, point_labels=point_labels, boxes=boxes, mask_input=mask_input)
        spec = self._predictor.spec
        columns = _columns(spec, multimask_output, num_multimask_outputs)
        prompts = PromptBatch(*arrays, low_res=spec.image.low_res)
        answer = self._masks_of(prompts, columns, return_logits, use_stability_score)
        masks, scores, low_res = (self._tensor(array) for array in answer)
        return masks, scores, low_res

    def get_image_embedding(self) -> Tensor | NDArray[np.float32]:
        """The image's embedding [1, C, G, G], a tensor where torch is installed; InputError before `set_image`."""
        embedding = self._image().features["image_embeddings"]
        try:
            return self._tensor(embedding)
        except MissingExtraError:
            return embedding

    def reset_image(self) -> None:
        """Forget the image."""
        self._embedding = None

    def _image(self) -> Embedding:
        if self._embedding is None:
            raise InputError("No image is set: call set_image first.")
        return self._embedding

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        runtime = import_with_extra("samlet.runtime.torch", "torch", "A tensor")
        return runtime.to_tensor(array, self.device)

    def _masks_of(
        self, prompts: PromptBatch, columns: tuple[int, ...], return_logits: bool, use_stability_score: bool
    ) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]:
        """`predict_torch` in NumPy."""
        embedding = self._image()
        logits = self._predictor.backend.decode(
            embedding.features, with_box_prior(embedding.features, prompts.tokens())
        )
        shape = (len(prompts), len(columns))
        chosen = logits.keep(np.arange(len(prompts)).repeat(len(columns)), np.tile(columns, len(prompts)))
        masks = _image_masks(chosen, embedding.frame, return_logits).reshape(*shape, *embedding.frame.size_hw)
        scores = chosen.stability() if use_stability_score else chosen.iou
        return masks, scores.reshape(shape), chosen.low_res().reshape(*shape, *chosen.low_res().shape[-2:])


def _columns(spec: ModelSpec, multimask_output: bool, count: int | None) -> tuple[int, ...]:
    """Which of the model's masks are asked for."""
    by_count = {spec.mask_tokens: tuple(range(spec.mask_tokens)), len(spec.multimask): spec.multimask}
    by_count[1] = (spec.single_column,)
    if count is None:
        return spec.multimask if multimask_output else by_count[1]
    if count not in by_count:
        *few, most = sorted(by_count)
        words = f"{', '.join(map(str, few))} or {most}" if few else str(most)
        raise InputError(f"num_multimask_outputs is {count}: use {words}.")
    return by_count[count]


def _arrays(**given: Any) -> list[NDArray[np.float64] | None]:
    """What is given as arrays, in the same order, None where nothing is."""
    return [None if values is None else as_array(values, name) for name, values in given.items()]


def _image_masks(chosen: MaskLogits, frame: ImageFrame, return_logits: bool) -> NDArray[Any]:
    """The N masks [N, 1] of `chosen` at image size: bool [N, H, W], or float32 logits."""
    masks = np.empty((len(chosen.iou), *frame.size_hw), np.float32 if return_logits else bool)
    for mask, logits in zip(masks, each_in_image(chosen, frame), strict=True):
        mask[...] = logits if return_logits else logits > 0
    return masks


def _normalized(image: NDArray[np.float64], spec: ImageSpec) -> NDArray[np.float32]:
    """[1, 3, h, w] in 0..255 → float32 [1, 3, S, S], padded with the mean color, which is 0."""
    pixels = np.zeros((1, 3, spec.canvas, spec.canvas), np.float32)
    mean, std = (np.array(values)[:, None, None] for values in (spec.mean, spec.std))
    pixels[..., : image.shape[2], : image.shape[3]] = (image - mean) / std
    return pixels

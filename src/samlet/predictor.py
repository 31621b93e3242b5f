"""Image in, prompts in, masks out: `embed` once, `predict` as often as you like.

A predictor keeps nothing of an image, so one predictor serves many images and many threads. It does not know how the
network is run (`samlet.backend`) nor where weights come from (`samlet.loading`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from samlet.backend import Backend, Embedding, MaskLogits
from samlet.candidates import Candidates, Select, answers, known_candidates
from samlet.errors import InputError, PromptError
from samlet.geometry.box_prior import with_box_prior
from samlet.geometry.patches import Patch
from samlet.images import ImageSource, read_image
from samlet.masks import Mask, MaskSet
from samlet.preprocess import frame_of, to_pixels
from samlet.prompts import Prompts
from samlet.spec import ModelSpec
from samlet.tokens import PromptTokens

if TYPE_CHECKING:
    from samlet.segmenting import Refine

STABILITY_OFFSET = 1.0
PROMPTS_AT_ONCE = 64  # in the decoder, where each holds 2 MB until its masks are chosen; a whole number of runs
IMAGES_PER_BATCH = 8  # an encoder of 3 GMAC holds about 100 MB of activations for each


class Predictor:
    """A promptable segmenter over any backend; stateless and thread-safe.

    `weights` identifies the weights (a sha256) that its embeddings are made with, None where nobody knows. `reload`
    makes the same predictor again, in another process: a pickled predictor is that call, not its weights.
    ModelError for a model of another task.
    """

    def __init__(
        self, backend: Backend, weights: str | None = None, reload: Callable[[], Predictor] | None = None
    ) -> None:
        backend.spec.check_task("promptable")
        self.backend: Backend = backend
        self.spec: ModelSpec = backend.spec
        self.weights: str | None = weights
        self._reload = reload

    def __repr__(self) -> str:
        return f"Predictor({self.spec.name!r}, backend {self.backend.name!r})"

    def __reduce__(self) -> tuple[Callable[..., Predictor], tuple[Any, ...]]:
        if self._reload is None:
            return Predictor, (self.backend, self.weights)
        return self._reload, ()

    def reloaded_by(self, reload: Callable[[], Predictor]) -> Predictor:
        """The same predictor, which is pickled as that call."""
        return Predictor(self.backend, self.weights, reload)

    def embed(self, image: ImageSource) -> Embedding:
        """Encode one image: a path, a PIL image or an RGB array [H, W, 3]; ImageError if it cannot be read."""
        pixels, frame = to_pixels(read_image(image), self.spec.image)
        return Embedding(self.backend.encode(pixels[None]), frame, self.spec.name, self.weights)

    def embed_many(self, images: Iterable[ImageSource], batch_size: int = IMAGES_PER_BATCH) -> list[Embedding]:
        """Encode images, `batch_size` in one run of the encoder; embeddings in the order of the images.

        Feeds a GPU, and on a CPU spares the start of each run. ImageError names the first image that cannot be read,
        InputError if `batch_size` is not 1 or more.
        """
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}: it must be 1 or more.")
        waiting, embeddings = iter(images), []
        while batch := [to_pixels(read_image(image), self.spec.image) for image in islice(waiting, batch_size)]:
            features = self.backend.encode(np.stack([pixels for pixels, _ in batch]))
            for row, (_, frame) in enumerate(batch):
                of_image = {name: array[row : row + 1] for name, array in features.items()}
                embeddings.append(Embedding(of_image, frame, self.spec.name, self.weights))
        return embeddings

    def decode(self, embedding: Embedding, prompts: Prompts, *, box_prior: bool = True) -> MaskLogits:
        """All candidates of each prompt, before upscaling: MaskLogits [P, M], M being the model's `mask_tokens`.

        `box_prior`: whether a model that proposes regions reads a lone click by them (`samlet.geometry.box_prior`);
        prompts with a mask hint are never read so. InputError if another model made the embedding, PromptError if a
        prompt does not fit the image.
        """
        self._check(embedding, prompts)
        frame = embedding.frame
        prompts.check(frame.size_hw, frame.low_res)
        points_xy, labels = prompts.clipped(frame.size_hw).tokens()
        tokens = PromptTokens(frame.to_prompt(points_xy), labels, prompts.mask_hint)
        if box_prior:
            tokens = with_box_prior(embedding.features, tokens)
        return self.backend.decode(embedding.features, tokens)

    def _check(self, embedding: Embedding, prompts: Prompts) -> None:
        """InputError or PromptError unless these are what they should be, and the embedding is of this model."""
        if not isinstance(embedding, Embedding):
            raise InputError(
                f"An embedding is needed, not {type(embedding).__name__}: embed the image first, "
                "model.predict(model.embed(image), …), or ask model.segment(image, …)."
            )
        if not isinstance(prompts, Prompts):
            raise PromptError(
                f"The prompts must be Prompts, not {type(prompts).__name__}: use Prompts.points([[x, y]]) or "
                "Prompts.boxes([left, top, right, bottom])."
            )
        if embedding.model != self.spec.name:
            raise InputError(
                f"The embedding was made by {embedding.model!r} but this model is {self.spec.name!r}: "
                "embed the image again with this model."
            )
        if None not in (embedding.weights, self.weights) and embedding.weights != self.weights:
            raise InputError(
                f"The embedding was made by other weights of {embedding.model!r} ({str(embedding.weights)[:12]}…) than "
                f"this model's ({str(self.weights)[:12]}…): embed the image again with this model."
            )

        if embedding.frame != frame_of(embedding.frame.size_hw, self.spec.image):
            raise InputError(
                f"The embedding lies on other canvases than those of {self.spec.name!r}: it is damaged, or of another "
                "version; embed the image again."
            )

    def predict(
        self,
        embedding: Embedding,
        prompts: Prompts,
        *,
        candidates: Candidates = "best",
        select: Select = "iou",
        ambiguous: bool | None = None,
    ) -> MaskSet:
        """Masks of P prompts in image pixels, prompt by prompt, with their low-resolution logits.

        `candidates`: "best" (P masks); "single" = the model's own single answer, meant for unambiguous prompts (P);
        "multimask" = those of an ambiguous prompt (three each in SAM); "every" = all it has (four each in SAM).
        `select` says which is best: "iou" = of the multimask ones the one with the highest predicted IoU; "stability" =
        of every one the one that changes least with the threshold, as EdgeSAM, whose predicted IoU was not distilled.
        `ambiguous`: whether a prompt may mean several things; if not, the best by predicted IoU is the single mask.
        None follows SAM's advice: two or more clicks without a box leave no doubt. Errors as `decode`, InputError for
        other words; a UserWarning if all coordinates look like shares of the image.
        """
        self._check(embedding, prompts)
        prompts.check(embedding.frame.size_hw, embedding.frame.low_res)  # all of them, before the first is decoded
        prompts.warn_if_normalized()
        wanted = known_candidates(candidates)
        masks: list[Mask] = []
        low_res = []
        for number, batch in enumerate(prompts.batches(PROMPTS_AT_ONCE)):
            logits = self.decode(embedding, batch)
            unambiguous = batch.several_clicks if ambiguous is None else np.full(len(batch), not ambiguous)
            rows, columns = answers(logits, self.spec, wanted, select, unambiguous)
            chosen = logits.keep(rows, columns)
            low_res.append(chosen.low_res()[:, 0])
            for logits_map, iou, row in zip(low_res[-1], chosen.iou[:, 0], rows, strict=True):
                rle, stability = Patch.cut(logits_map, embedding.frame, -STABILITY_OFFSET).answer(STABILITY_OFFSET)
                index = number * PROMPTS_AT_ONCE + int(row)
                masks.append(Mask(rle=rle, iou=float(iou), stability=stability, prompt_index=index))
        return MaskSet(masks, embedding.frame.size_hw, low_res[0] if len(low_res) == 1 else np.concatenate(low_res))

    def segment(
        self,
        image: ImageSource,
        prompts: Prompts | None = None,
        *,
        points: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        boxes: ArrayLike | None = None,
        embedding: Embedding | None = None,
        refine: Refine = "auto",
        clean: bool = True,
        smooth: float = 0.0,
        select: Select = "iou",
    ) -> MaskSet:
        """One clean mask for each prompt, its edges where the photo has them: the verb for people.

        Prompts are `Prompts`, or `points` [K, 2] with `labels` [K] (one object) and `boxes` [4] or [B, 4], in image
        pixels. `embedding` saves encoding an image again that was embedded before. `refine`: "look" encodes a window
        around each answer and takes the mean of both answers; "edges" lets the photo place the edges (a guided
        filter); "auto" does both; "none" neither. `clean` removes islands and fills holes that no click asks for;
        `smooth` (0 to 0.2, a share of the root of the mask's area) also rounds its outline.
        A box or the first click takes the best of the candidates, as `select` says; each further click is asked with
        the last answer as a hint, and takes the single mask.
        Errors as `embed` and `decode`; InputError if the embedding is of an image of another size.
        """
        from samlet.segmenting import segment

        asked = _prompts(prompts, points, labels, boxes)
        asked.warn_if_normalized()
        photo = read_image(image)
        size_hw = photo.shape[0], photo.shape[1]
        asked.check(size_hw)
        embedding = self.embed(photo) if embedding is None else embedding
        if embedding.frame.size_hw != size_hw:
            (height, width), (other_height, other_width) = size_hw, embedding.frame.size_hw
            raise InputError(
                f"The embedding is of an image of {other_width} x {other_height} pixels but this one is "
                f"{width} x {height}: give the image it was made from."
            )
        return segment(self, photo, embedding, asked, refine=refine, clean=clean, smooth=smooth, select=select)


def _prompts(
    prompts: Prompts | None, points: ArrayLike | None, labels: ArrayLike | None, boxes: ArrayLike | None
) -> Prompts:
    """The prompts of `segment`, which takes them in either form."""
    if prompts is not None:
        if any(values is not None for values in (points, labels, boxes)):
            raise PromptError("Give prompts, or points, labels and boxes, not both.")
        if not isinstance(prompts, Prompts):
            raise PromptError(f"prompts must be Prompts, not {type(prompts).__name__}: or name points=… or boxes=….")
        return prompts
    if boxes is not None:
        return Prompts.boxes(boxes, points, labels)
    if points is None:
        raise PromptError("There is nothing to segment: give prompts, points=… or boxes=….")
    return Prompts.points(points, labels)

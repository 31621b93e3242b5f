"""A promptable segmenter in torch: an image encoder of any family with SAM's prompt encoder and mask decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from samlet.errors import ModelError
from samlet.nn.mask_decoder import MaskDecoder
from samlet.nn.network import Network
from samlet.nn.prompt_encoder import PromptEncoder
from samlet.prompts import ABSENT_LABEL
from samlet.spec import ModelSpec

LOW_RES_PER_CELL = 4  # the decoder doubles the grid twice


class Sam(Network):
    """`image_encoder`, `prompt_encoder`, `mask_decoder`: the official names, so an official file loads strictly.

    `unused`: prefixes of parameters that official files may hold but no forward pass reads.
    """

    feature_names: tuple[str, ...] = ("image_embeddings",)

    def __init__(self, spec: ModelSpec, image_encoder: nn.Module, unused: tuple[str, ...] = ()) -> None:
        super().__init__(spec, unused)
        self.image_encoder = image_encoder
        self.prompt_encoder = PromptEncoder(spec.image.channels, spec.image.grid, spec.image.prompt_canvas)
        self.mask_decoder = MaskDecoder(spec.image.channels, spec.mask_tokens)
        if spec.image.low_res != LOW_RES_PER_CELL * spec.image.grid:
            raise ModelError(
                f"{spec.name} has a grid of {spec.image.grid} cells, which SAM's decoder answers with logits of "
                f"{LOW_RES_PER_CELL * spec.image.grid} pixels: low_res cannot be {spec.image.low_res}."
            )

    def encode(self, pixels: Tensor) -> Tensor:
        """Normalized pixels [N, 3, S, S] -> image embeddings [N, 256, 64, 64]."""
        return self.image_encoder(pixels)

    def features(self, pixels: Tensor) -> dict[str, Tensor]:
        """All that inference keeps of normalized pixels [N, 3, S, S]: tensors [N, ...] named as in `feature_names`."""
        return {"image_embeddings": self.encode(pixels)}

    def decode_tokens(
        self,
        image_embeddings: Tensor,
        points_xy: Tensor,
        labels: Tensor,
        mask_hint: Tensor | None = None,
        image_index: Tensor | None = None,
        hinted: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """P prompts over N images in one call; rows may be of unequal length (label ABSENT_LABEL fills them up).

        image_embeddings [N, 256, 64, 64]; points_xy [P, T, 2] in prompt-canvas pixels; labels [P, T]; mask_hint
        [P, 256, 256] logits, for the prompts in `hinted` bool [P] (default: all); image_index [P] says whose prompt
        each is (default: all of image 0).
        Returns iou [P, 4], mask tokens [P, 4, 256], keys [P, 4096, 256].
        """
        prompts = points_xy.shape[0]
        sparse = self.prompt_encoder.embed_tokens(points_xy, labels)
        dense = self.prompt_encoder.no_mask(prompts)
        if mask_hint is not None:
            hint = self.prompt_encoder.embed_mask(mask_hint[:, None])
            dense = hint if hinted is None else torch.where(hinted[:, None, None, None], hint, dense)
        image = image_embeddings[:1] if image_index is None else image_embeddings[image_index]
        return self.mask_decoder.decode_tokens(
            image + dense,
            self.prompt_encoder.get_dense_pe(),
            sparse,
            token_bias(labels, sparse.dtype, self.mask_decoder),
        )

    def upscale(self, mask_tokens: Tensor, keys: Tensor) -> Tensor:
        """mask tokens [P, 4, 256] and keys [P, 4096, 256] -> low-resolution logits [P, 4, 256, 256]."""
        return self.mask_decoder.upscale(mask_tokens, keys)

    def answer(
        self,
        image_embeddings: Tensor,
        points_xy: Tensor,
        labels: Tensor,
        mask_hint: Tensor | None = None,
        image_index: Tensor | None = None,
        hinted: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """As `decode_tokens`, then all masks: low-resolution logits [P, 4, 256, 256], predicted IoU [P, 4]."""
        iou, tokens, keys = self.decode_tokens(image_embeddings, points_xy, labels, mask_hint, image_index, hinted)
        return self.upscale(tokens, keys), iou

    def forward(
        self,
        pixels: Tensor,
        points_xy: Tensor,
        labels: Tensor,
        mask_hint: Tensor | None = None,
        image_index: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Pixels and prompts -> what `answer` gives."""
        return self.answer(self.encode(pixels), points_xy, labels, mask_hint, image_index)


def token_bias(labels: Tensor, dtype: torch.dtype, decoder: MaskDecoder) -> Tensor:
    """Attention bias [P, 1, 1, 1 + M + T] that hides absent tokens; the decoder's own 1 + M tokens always exist.

    A finite value, not -inf: it must survive float16 and graph exporters.
    """
    absent = torch.nn.functional.pad(labels == ABSENT_LABEL, (1 + decoder.masks, 0))
    return absent[:, None, None, :].to(dtype) * -1e4

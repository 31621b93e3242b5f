"""Prompts become the official tokens and dense maps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests import filler, parity
from torch import Tensor, nn

from samlet.nn.prompt_encoder import PromptEncoder
from samlet.prompts import ABSENT_LABEL

NUMBERS = parity.numbers("mask-decoder")


@pytest.fixture(scope="module")
def encoder() -> PromptEncoder:
    encoder = PromptEncoder().requires_grad_(False)
    filler.fill_(nn.ModuleDict({"prompt_encoder": encoder}))
    return encoder


def tensor(value: list[Any] | None) -> Tensor | None:
    return None if value is None else torch.tensor(value)


def test_dense_positions(encoder: PromptEncoder) -> None:
    assert parity.wrong({"dense_pe": (encoder.get_dense_pe(), NUMBERS["dense_pe"])}) == {}


@pytest.mark.parametrize("name", NUMBERS["prompts"])
def test_prompt_in_metas_signature(encoder: PromptEncoder, name: str) -> None:
    case = NUMBERS["prompts"][name]
    points = None if case["points_xy"] is None else (torch.tensor(case["points_xy"]), torch.tensor(case["labels"]))
    mask = case["mask_input"] and torch.from_numpy(filler.array(case["mask_input"], 1, 256, 256))[None]
    sparse, dense = encoder(points, tensor(case["boxes_xyxy"]), mask)
    assert parity.wrong({"sparse": (sparse, case["sparse"]), "dense": (dense, case["dense"])}) == {}


@pytest.mark.parametrize("name", [name for name, case in NUMBERS["tokens"].items() if "sparse" in case])
def test_tokens_by_label(encoder: PromptEncoder, name: str) -> None:
    case = NUMBERS["tokens"][name]
    sparse = encoder.embed_tokens(torch.tensor(case["points_xy"]), torch.tensor(case["labels"]))
    assert parity.wrong({"sparse": (sparse, case["sparse"])}) == {}


def test_padding_ignores_where_it_is(encoder: PromptEncoder) -> None:
    tokens = encoder.embed_tokens(torch.tensor([[[0.0, 0.0], [700.0, 3.0]]]), torch.tensor([[-1, -1]]))
    torch.testing.assert_close(tokens[0], encoder.not_a_point_embed.weight.expand(2, -1), rtol=0, atol=0)


@pytest.mark.parametrize("label", [-2, ABSENT_LABEL])
def test_a_label_without_meaning_is_a_zero_token(encoder: PromptEncoder, label: int) -> None:
    assert not encoder.embed_tokens(torch.tensor([[[5.0, 6.0]]]), torch.tensor([[label]])).any()


def test_the_far_corner_of_the_canvas_is_encoded_at_its_pixel_center(encoder: PromptEncoder) -> None:
    """Pixel (7, 7) of a cell of 16 lies half a pixel before the cell's center, pixel 7.5 on it."""
    dense = encoder.get_dense_pe()[0]
    on_the_center = encoder.embed_tokens(torch.tensor([[[1015.5, 23.5]]]), torch.tensor([[1]]))[0, 0]
    label = next(encoder.point_embeddings[1].parameters())[0]
    torch.testing.assert_close(on_the_center - label, dense[:, 1, 63], rtol=0, atol=1e-4)

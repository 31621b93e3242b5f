"""Which prompts run together, which alone, and what is made for them."""

from __future__ import annotations

import numpy as np
import pytest

from samlet.runtime.shared import MOST_ALONE, LoneImage, SharedOfImages
from samlet.tokens import PromptTokens

EMBEDDINGS = np.arange(2.0, dtype=np.float32).reshape(2, 1, 1, 1)
EMBEDDINGS.setflags(write=False)


def tokens(images, hints=None):
    rows = len(images)
    return PromptTokens(np.zeros((rows, 1, 2), np.float32), np.ones((rows, 1), np.int64), hints, np.array(images))


def described(runs):
    """Rows of each run, and whether it has its image to itself or what was made for it."""
    return [(run.rows.tolist(), "lone" if isinstance(run.shared, LoneImage) else run.shared) for run in runs]


@pytest.fixture
def made():
    return []


@pytest.fixture
def shared(made):
    def project(image):
        made.append(float(image.embedding[0, 0, 0, 0]))
        return f"of image {made[-1]:.0f}"

    return lambda **options: SharedOfImages(project, **options)


def test_a_few_prompts_run_alone_and_many_share(shared, made):
    few, many = tokens([1] * MOST_ALONE), tokens([0] * (MOST_ALONE + 1))
    images = shared()
    assert described(images.runs(EMBEDDINGS, few, 4)) == [([row], "lone") for row in range(MOST_ALONE)]
    assert made == []
    assert described(images.runs(EMBEDDINGS, many, 3)) == [([0, 1, 2], "of image 0"), ([3], "of image 0")]
    assert made == [0]


def test_nothing_but_the_question_decides(shared, made):
    """So it gets the same bits whatever was asked before."""
    images = shared()
    asked = [described(images.runs(EMBEDDINGS, tokens([1]), 4)) for _ in range(MOST_ALONE + 2)]
    list(images.runs(EMBEDDINGS, tokens([1] * (MOST_ALONE + 1)), 8))
    assert made == [1]
    asked.append(described(images.runs(EMBEDDINGS, tokens([1]), 4)))
    assert asked == [[([0], "lone")]] * (MOST_ALONE + 3)


def test_what_was_made_is_kept_for_the_next_question_of_many(shared, made):
    images, many = shared(), tokens([0] * (MOST_ALONE + 1))
    for _ in range(2):
        list(images.runs(EMBEDDINGS, many, 8))
    assert made == [0]


def test_hints_make_every_prompt_run_alone(shared, made):
    hints = np.stack([np.full((4, 4), value, np.float32) for value in range(5)])
    runs = list(shared().runs(EMBEDDINGS, tokens([0, 1, 0, 0, 0], hints), 8))
    assert sorted(described(runs)) == [([row], "lone") for row in range(5)]
    seen = {int(run.rows[0]): (run.shared.embedding.item(), run.shared.mask_hint[0, 0, 0].item()) for run in runs}
    assert seen == {0: (0, 0), 1: (1, 1), 2: (0, 2), 3: (0, 3), 4: (0, 4)}
    assert made == []


def test_a_backend_that_cannot_decode_alone_shares_always(shared, made):
    images = shared(alone=False)
    assert described(images.runs(EMBEDDINGS, tokens([1]), 8)) == [([0], "of image 1")]
    hints = np.zeros((2, 4, 4), np.float32)
    assert described(images.runs(EMBEDDINGS, tokens([1, 1], hints), 8)) == [([0], "of image 1"), ([1], "of image 1")]
    assert made == [1, 1, 1]

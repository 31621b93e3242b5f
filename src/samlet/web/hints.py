"""Masks that were answered, by the id that went out with each: a later prompt may go on from one.

An id stands for the question and the place of the mask among its answers, a few hundred bytes, so that it lives long;
logits are kept for the last ones only, and are made again for others. Ids cannot be guessed: a client's masks are its
own. Safe to use from many threads.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from samlet.errors import PromptError
from samlet.prompts import Prompts
from samlet.web.kept import BoundedCache

Logits = NDArray[np.float32]
MOST_MASKS = 50_000
_LONGEST_CHAIN = 64  # of masks, each the hint of the next


@dataclass(frozen=True)
class Asked:
    """Clicks [K, 2] with labels [K], a box XYXY and the id of an earlier mask, in image pixels; each may be missing."""

    points: list[tuple[float, float]]
    labels: list[int] | None = None
    box: tuple[float, float, float, float] | None = None
    hint: str | None = None

    def prompts(self) -> Prompts:
        """One prompt, without the hint; PromptError if it says nothing."""
        if self.labels is not None and len(self.labels) != len(self.points):
            raise PromptError(f"There are {len(self.points)} points but {len(self.labels)} labels: give one per point.")
        if self.box is not None:
            return Prompts.boxes(self.box, self.points or None, self.labels if self.points else None)
        return Prompts.points(np.array(self.points, float).reshape(-1, 2), self.labels)


@dataclass(frozen=True)
class Answered:
    """Mask `row` among the answers of `verb` to a question about the image `embedding`."""

    embedding: str
    asked: Asked
    verb: Literal["best", "multimask", "segment"]
    row: int


class Hints:
    """`again` makes the logits [N, L, L] of a question anew, given its prompt with the hint that it had itself."""

    def __init__(self, most_bytes: int, again: Callable[[Answered, Prompts], Logits]) -> None:
        self._again = again
        self._answered: BoundedCache[Answered] = BoundedCache(MOST_MASKS, lambda _: 1)
        self._logits: BoundedCache[Logits] = BoundedCache(most_bytes, lambda logits: logits.nbytes)

    @property
    def bytes(self) -> int:
        """Bytes of all logits that are kept."""
        return self._logits.bytes

    def add(self, answered: Answered, logits: Logits) -> str:
        """Remember a mask with its logits [L, L]; returns its id."""
        name = secrets.token_urlsafe(12)
        self._answered.put(name, answered)
        self._logits.put(name, np.array(logits, np.float32))
        return name

    def prompts(self, asked: Asked, embedding: str, depth: int = 0) -> Prompts | None:
        """The prompt with the logits of its hint, if it has one; None if those are forgotten or of another image."""
        prompts = asked.prompts()
        if asked.hint is None:
            return prompts
        logits = self._of(asked.hint, embedding, depth)
        return None if logits is None else prompts.with_mask_hint(logits)

    def _of(self, name: str, embedding: str, depth: int) -> Logits | None:
        answered, logits = self._answered.get(name), self._logits.get(name)
        if answered is None or answered.embedding != embedding or depth > _LONGEST_CHAIN:
            return None
        if logits is None:
            prompts = self.prompts(answered.asked, embedding, depth + 1)
            if prompts is None:
                return None
            logits = self._again(answered, prompts)[answered.row]
            self._logits.put(name, np.array(logits, np.float32))
        return logits

"""Photos that cannot be read: passed over up to a limit, named at once, and told by the exit code at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter
from cyclopts.validators import Number

from samlet.data.broken import Broken
from samlet.errors import DataError, ImageError, PassedOverError

MaxBroken: TypeAlias = Annotated[
    int,
    Parameter(
        name="--max-broken",
        help="Pass over at most so many photos that cannot be read; exit code 3. Default: none.",
        validator=Number(gte=0),
    ),
]


class PassedOver:
    """The photos of one call that could not be read; without a limit the first one is the error."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._broken = Broken(limit, lambda sentence: print(sentence, file=sys.stderr))

    @contextmanager
    def passing_over(self, image: Path) -> Iterator[None]:
        """The block works on one photo; its ImageError is noted, or raised where there are too many."""
        try:
            yield
        except ImageError as error:
            if not self._limit:
                raise
            self._broken.add(str(image), DataError(str(error)))

    def tell(self) -> None:
        """`PassedOverError`, at the end of all work, if any photo was passed over."""
        if len(self._broken):
            names = ", ".join(self._broken.reasons)
            raise PassedOverError(f"{len(self._broken)} photos could not be read ({names}); all others are done.")

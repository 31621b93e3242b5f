"""Samples that cannot be read: named and counted, never passed over in silence."""

from __future__ import annotations

from collections.abc import Callable

from samlet.errors import DataError, ImageError


class Broken:
    """Collects broken samples up to a limit. `tell` gets a sentence for each; `reasons` keeps them by name."""

    def __init__(self, limit: int = 0, tell: Callable[[str], None] | None = None) -> None:
        self._limit, self._tell = limit, tell
        self.reasons: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.reasons

    def __len__(self) -> int:
        return len(self.reasons)

    @property
    def last(self) -> str:
        """The reason of the last one."""
        return next(reversed(self.reasons.values()), "")

    def add(self, name: str, error: DataError | ImageError) -> None:
        """Note a sample; DataError if there are too many now, the error itself if none is allowed."""
        if name in self:
            return
        self.reasons[name] = str(error)
        if not self._limit:
            raise error
        if len(self) > self._limit:
            raise DataError(
                f"{len(self)} samples are broken ({', '.join(self.reasons)}), more than --max-broken {self._limit} "
                f"allows; the last: {error}"
            ) from error
        if self._tell is not None:
            self._tell(f"skipped {name}: {error}")

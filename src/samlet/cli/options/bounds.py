"""How an option says what it may be: `Annotated[int, Parameter(validator=Between(1, 64))]`."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import Any


@dataclass(frozen=True)
class Between:
    """A cyclopts validator: a number, or each of several, is finite and from `low` to `high`; None is no number.

    Unlike cyclopts' own it takes no NaN in any version, and its sentence names both ends.
    """

    low: float
    high: float = inf

    def __call__(self, type_: Any, value: Any) -> None:
        """ValueError, whose text cyclopts puts behind the option's name, for a number out of bounds."""
        if isinstance(value, (list, tuple)):
            for each in value:
                self(type_, each)
        elif value is not None and not (isfinite(value) and self.low <= value <= self.high):
            raise ValueError(self._sentence())

    def _sentence(self) -> str:
        if self.high == inf:
            return f"It must be {self.low:,} or more."
        return f"It must be from {self.low:,} to {self.high:,}."

"""Tables and sizes as the command line prints them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

# Wide enough that a table sent into a file or a pipe is never wrapped.
PIPE_WIDTH = 400


def print_table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under headings; each column is (heading, "left" or "right")."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH)
    named = any(heading for heading, _ in columns)
    table = Table(box=None, header_style="bold", pad_edge=False, show_header=named)
    for heading, side in columns:
        right = side == "right"
        table.add_column(heading, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table, markup=False, highlight=False)


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print names and what they are, without headings."""
    print_table((("", "left"), ("", "left")), facts)


def megabytes(size_bytes: int) -> str:
    """Return a size as people read it, in units of a million bytes."""
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"

"""An fsspec file system in memory that fails as told: `flaky://a.jpg`."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from fsspec.implementations.memory import MemoryFileSystem


class FlakyStore(MemoryFileSystem):
    """`failures` has, by the end of a path, the errors of its next reads: an exception, or a number of bytes lost."""

    protocol = "flaky"
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]
    failures: ClassVar[dict[str, list]] = {}
    asked: ClassVar[Counter] = Counter()

    @classmethod
    def _strip_protocol(cls, path):
        inner = path.removeprefix("flaky://").strip("/")
        return f"/{inner}" if inner else ""

    def cat_file(self, path, start=None, end=None, **kwargs):
        name = path.rpartition("/")[2]
        self.asked[name] += 1
        planned = self.failures.get(name)
        failure = planned.pop(0) if planned else 0
        if isinstance(failure, Exception):
            raise failure
        content = super().cat_file(path, start, end, **kwargs)
        return content[: len(content) - failure]

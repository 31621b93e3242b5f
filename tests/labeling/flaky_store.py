"""An fsspec file system in memory that fails as told: `flaky://a.jpg`."""

from __future__ import annotations

from collections import Counter
from hashlib import md5
from typing import ClassVar

from fsspec.implementations.memory import MemoryFileSystem


class FlakyStore(MemoryFileSystem):
    """`failures` has, by the end of a path, the errors of its next reads: an exception, or a number of bytes lost.

    "put NAME" has those of puts, which are made all the same: their answers get lost.
    """

    protocol = "flaky"
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]
    failures: ClassVar[dict[str, list]] = {}
    asked: ClassVar[Counter] = Counter()

    @classmethod
    def _strip_protocol(cls, path):
        inner = path.removeprefix("flaky://").strip("/")
        return f"/{inner}" if inner else ""

    def info(self, path, **kwargs):
        found = super().info(path, **kwargs)
        content = self.store.get(self._strip_protocol(path))
        return found if content is None else found | {"ETag": md5(content.getvalue()).hexdigest()}

    def pipe_file(self, path, value, mode="overwrite", **conditions):
        if conditions and self.info(path)["ETag"] != conditions["IfMatch"]:
            raise FileExistsError(path)
        super().pipe_file(path, value, mode=mode)
        self._fail(f"put {path.rpartition('/')[2]}")

    def _fail(self, name):
        """As planned, after the deed."""
        self.asked[name] += 1
        planned = self.failures.get(name)
        if planned:
            raise planned.pop(0)

    def cat_file(self, path, start=None, end=None, **kwargs):
        name = path.rpartition("/")[2]
        self.asked[name] += 1
        planned = self.failures.get(name)
        failure = planned.pop(0) if planned else 0
        if isinstance(failure, Exception):
            raise failure
        content = super().cat_file(path, start, end, **kwargs)
        return content[: len(content) - failure]

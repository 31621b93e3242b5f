"""S3 on the loopback, by moto's server, with a layer that answers 503 or cuts bodies as a seed decides."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>"


class Faults:
    """A WSGI layer: of the requests that it sees while `share` > 0, that share fails, half of them by a cut body."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._random, self._lock = inner, random.Random(15), threading.Lock()
        self.share = 0.0
        self.made: Counter[str] = Counter()

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        with self._lock:
            chance = self._random.random()
        if chance < self.share / 2 and environ["REQUEST_METHOD"] == "GET":
            return self._cut(environ, start)
        if chance < self.share:
            with self._lock:
                self.made[f"503 {environ['REQUEST_METHOD']}"] += 1
            start("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", str(len(SLOW_DOWN)))])
            return [SLOW_DOWN]
        return self._inner(environ, start)

    def _cut(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        """All headers, and half of what they promise."""
        body = b"".join(self._inner(environ, start))
        with self._lock:
            self.made["cut"] += len(body) > 1
        return [body[: len(body) // 2]] if len(body) > 1 else [body]


@contextmanager
def serve() -> Iterator[tuple[str, Faults]]:
    """The address of a server, and its faults."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_: Any) -> None:
            """Nothing."""

    faults = Faults(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, faults, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", faults
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

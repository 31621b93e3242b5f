"""A file server on the loopback that can be told to misbehave."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = os.urandom(1_280_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
FILE = "mobile_sam.pt"


@dataclass
class Site:
    """What the server has and does: `cut_after` bytes it breaks the next connections off, one entry each."""

    files: dict[str, bytes] = field(default_factory=dict)
    cut_after: list[int] = field(default_factory=list)
    fail_with: list[int] = field(default_factory=list)
    knows_ranges: bool = True
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    address: str = ""


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site = self.site
        asked = self.headers.get("Range")
        site.requests.append((self.path, asked))
        content = site.files.get(self.path)
        if site.fail_with:
            return self.send_error(site.fail_with.pop(0))
        if content is None:
            return self.send_error(404)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and site.knows_ranges else 0
        if start and start >= len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = site.cut_after.pop(0) if site.cut_after else len(content)
        self.wfile.write(content[start : start + end])
        return None

    def log_message(self, *_arguments) -> None:
        """Say nothing: the tests read `Site.requests`."""


@contextmanager
def serve(site: Site) -> Iterator[Site]:
    """Serve `site` on a free port of the loopback while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": site}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

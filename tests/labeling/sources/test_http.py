"""Images of the web, from a server on the loopback: addresses, those that are gone, and no parts of large files."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.data.records import jpeg, record, write_shard

from samlet.errors import ImageError, InputError
from samlet.labeling.sources import open_sources, retrying, stores
from samlet.labeling.sources.stores import read

pytest.importorskip("aiohttp")
pytest.importorskip("fsspec")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A folder, and its address."""
    monkeypatch.setattr(retrying, "_sleep", lambda _: None)
    monkeypatch.setattr(stores, "_filesystems", {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield tmp_path, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_addresses_of_a_manifest_are_read_and_the_dead_ones_named(web):
    folder, address = web
    (folder / "a.jpg").write_bytes(jpeg())
    (folder / "list.csv").write_text(f"url\na.jpg\n{address}/none.jpg\nhttp://127.0.0.1:1/b.jpg\n")
    (source,) = open_sources([f"{address}/list.csv"])
    there, gone, dead = source.items()
    assert there.path == f"{address}/a.jpg"
    assert source.read(there) == jpeg()
    with pytest.raises(ImageError, match=r"none\.jpg does not exist"):
        source.read(gone)
    with pytest.raises(ImageError, match=r"127\.0\.0\.1:1/b\.jpg cannot be read"):
        source.read(dead)


def test_a_single_photo_and_a_shard(web):
    folder, address = web
    (folder / "a.jpg").write_bytes(jpeg())
    write_shard(folder / "x.tar", {"a.jpg": jpeg(), "a.json": record()})
    (source,) = open_sources([f"{address}/a.jpg"])
    (item,) = source.items()
    assert source.read(item) == jpeg()
    with pytest.raises(ImageError, match="gives no parts of files"):
        read(f"{address}/x.tar", 5, 512)
    with pytest.raises(InputError, match="the web lists no folders"):
        open_sources([f"{address}/"])

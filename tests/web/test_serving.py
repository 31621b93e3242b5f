from __future__ import annotations

import json
import signal
import socket
import threading
import time
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPResponse

import pytest

pytest.importorskip("fastapi")

import uvicorn
from tests.web.live import PHOTO, live_server

from samlet.errors import InputError
from samlet.web.app import create_app
from samlet.web.connections import BoundedConnection
from samlet.web.serving import listen
from samlet.web.settings import Settings

TOKEN = "correct-horse-battery"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("0.0.0.0", 0, None), "give a --token too"),
        (("::", 0, None), "give a --token too"),
        (("example.invalid", 0, None), "give a --token too"),
        (("127.0.0.1", 0, "short"), "16 plain characters"),
        (("127.0.0.1", 0, ""), "16 plain characters"),
        (("127.0.0.1", 0, "line\nbreak-and-more-of-it"), "16 plain characters"),
        (("127.0.0.1", 0, None, (), Settings(label_studio="file:///etc")), "--label-studio"),
        (("127.0.0.1", 0, None, (), Settings(label_studio="http://a/b")), "--label-studio"),
    ],
)
def test_what_is_not_safe_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        listen(*arguments)


def test_a_port_that_is_taken_is_named():
    first = listen("127.0.0.1", 0, None)
    port = first.socket.getsockname()[1]
    with first.socket, pytest.raises(InputError, match=f"Cannot listen on 127.0.0.1 port {port}"):
        listen("127.0.0.1", port, None)


def test_alone_it_answers_to_its_own_names_and_with_a_token_to_addresses():
    alone, open_ = listen("127.0.0.1", 0, None), listen("0.0.0.0", 0, TOKEN, ("Seg.Example",))
    with alone.socket, open_.socket:
        assert not alone.settings.any_address
        assert alone.settings.hosts == ("localhost", "127.0.0.1", "::1", "127.0.0.1")
        assert open_.settings.any_address
        assert "seg.example" in open_.settings.hosts


class QuickConnection(BoundedConnection):
    look_seconds, head_seconds, stuck_seconds = 0.02, 0.2, 0.2


@pytest.fixture(scope="module")
def quick(model):
    """The port of a server that loses patience soon."""
    settings = Settings(receive_seconds=0.3, body_bytes=1 << 20)
    listening = listen("127.0.0.1", 0, None, (), settings)
    app = create_app(model, settings=listening.settings)
    config = uvicorn.Config(app, http=QuickConnection, ws="none", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening.socket]})
    thread.start()
    yield listening.socket.getsockname()[1]
    server.should_exit = True
    thread.join()


def answer_to(port: int, sent: bytes) -> bytes:
    """All that comes back until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(sent)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


HEAD = b"POST /api/embed HTTP/1.1\r\nHost: localhost\r\nX-Samlet: 1\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (HEAD + b"Content-Length: 2000000000\r\n\r\n", b"413"),
        (HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", b"413"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + 2 * (b"80001\r\n" + bytes(0x80001) + b"\r\n"), b"413"),
        (HEAD + b"Content-Length: 1000\r\n\r\nonly this", b"408"),
        (HEAD + b"Content-Length: -5\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", b""),
        (b"GET /api/info HTTP/1.1\r\n\r\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00", b"400"),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n", b"400"),
    ],
)  # fmt: skip
def test_hostile_requests_end_with_4xx(quick, sent, status):
    answer = answer_to(quick, sent)
    assert answer.partition(b" ")[2].startswith(status) or status in answer.partition(b"\r\n")[0]


def test_fifty_that_send_no_whole_head_are_dropped_and_hold_up_nobody(quick):
    slow = [socket.create_connection(("127.0.0.1", quick), timeout=10) for _ in range(50)]
    for connection in slow:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: loc")
    assert answer_to(quick, b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").endswith(b'"UP"}')
    for each in slow:
        with each, suppress(ConnectionResetError):
            assert each.recv(100) == b""


def test_one_that_asks_again_and_again_keeps_its_connection(quick):
    connection = HTTPConnection("127.0.0.1", quick, timeout=10)
    end = time.monotonic() + 3 * QuickConnection.head_seconds
    with closing(connection):
        while time.monotonic() < end:
            connection.request("GET", "/health")
            assert connection.getresponse().read().endswith(b'"UP"}')
            time.sleep(0.03)


def test_one_that_hangs_up_in_the_middle_of_a_body_is_no_defect(quick, caplog):
    with socket.create_connection(("127.0.0.1", quick)) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\nonly this")
    assert answer_to(quick, b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").endswith(b'"UP"}')
    assert "defect" not in caplog.text


def test_one_that_reads_nothing_is_dropped(quick):
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", quick))
        request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_forever(connection, request * 20)


def send_forever(connection: socket.socket, sent: bytes) -> None:
    for _ in range(500):
        connection.sendall(sent)
        time.sleep(0.02)


class Client:
    """A client of a live server that asks for a token."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(self, method: str, path: str, body: bytes | dict | None = None, **headers: str) -> HTTPResponse:
        kind = "application/json" if isinstance(body, dict) else "image/jpeg"
        content = json.dumps(body) if isinstance(body, dict) else body
        headers = {"Content-Type": kind, "Authorization": f"Bearer {TOKEN}"} | headers
        self._connection.request(method, path, content, headers)
        return self._connection.getresponse()

    def everything(self, embedding: str) -> HTTPResponse:
        """A long answer, of which the first line has been read."""
        stream = self.send("POST", "/api/everything", {"embedding": embedding, "points_per_side": 64})
        assert json.loads(stream.readline())["total"] == 4096
        return stream


@pytest.mark.slow
def test_a_server_stops_working_for_who_left_and_stops_itself_while_it_works(tmp_path):
    with live_server(tmp_path, SAMLET_TOKEN=TOKEN) as server:
        with Client(server.port) as client:
            embedded = json.loads(client.send("POST", "/api/embed", PHOTO.read_bytes()).read())
            assert embedded["size"] == [400, 600]
            with client.send("GET", "/health", Host="evil.example") as foreign:
                assert (foreign.status, list(json.loads(foreign.read()))) == (421, ["error"])
        with Client(server.port) as leaving, leaving.everything(embedded["embedding"]):
            pass
        with Client(server.port) as client:
            for _ in range(100):
                figures = client.send("GET", "/metrics").read().decode()
                if 'samlet_jobs{lane="find everything"} 0.0' in figures:
                    break
                time.sleep(0.1)
            else:
                raise AssertionError("it works on for nobody")
        assert 'samlet_requests_total{method="POST",route="/api/embed",status="200"} 1.0' in figures
        with Client(server.port) as client, client.everything(embedded["embedding"]) as stream:
            assert server.stop(signal.SIGTERM) == 0
            assert "told to stop" in stream.read().decode()
        events = [json.loads(line) for line in server.log.read_text().splitlines()[1:]]
        assert [event["event"] for event in events if event["event"] != "request"] == ["started", "stopping"]

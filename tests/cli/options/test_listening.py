"""Where a server listens: one set of options for `samlet app` and `samlet serve`."""

from __future__ import annotations

import socket

import pytest

pytest.importorskip("fastapi")

from samlet.cli import make_app
from samlet.cli.options.listening import ListenOptions
from samlet.errors import InputError
from samlet.web.settings import Settings


def test_both_servers_have_them() -> None:
    app = make_app()
    for verb in ("app", "serve"):
        names = {name for argument in app[verb].assemble_argument_collection() for name in argument.names}
        assert {"--host", "--port", "--token", "--allow-host"} <= names


def test_they_open_a_socket_and_say_who_may_ask() -> None:
    listening = ListenOptions(port=0, token="0123456789abcdef", allow_host=("My.Host",)).listen(Settings())
    with listening.socket as bound:
        assert isinstance(bound, socket.socket)
        assert listening.url == f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert listening.settings.token == "0123456789abcdef"
        assert "my.host" in listening.settings.hosts


def test_other_machines_need_a_token() -> None:
    with pytest.raises(InputError, match="--token"):
        ListenOptions(host="0.0.0.0", port=0).listen(Settings())

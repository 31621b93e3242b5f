"""Running an application under uvicorn: where it listens, who may reach it, how it stops."""

from __future__ import annotations

import ipaddress
import logging
import re
import signal
import socket
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

import uvicorn

from samlet.errors import InputError
from samlet.predictor import Predictor
from samlet.web.app import create_app
from samlet.web.connections import BoundedConnection
from samlet.web.logs import LOGGER, log_to_stderr
from samlet.web.service import Service
from samlet.web.settings import LOOPBACK_HOSTS, Settings

SHORTEST_TOKEN = 16
_ORIGIN = re.compile(r"https?://[\w.-]+(:\d{1,5})?")
_GRACE_SECONDS = 10
_BACKLOG = 256
_logger = logging.getLogger(LOGGER)
_MOST_CONNECTIONS = 500  # a process may have 1,024 files open where nobody raised that


@dataclass(frozen=True)
class Listening:
    """A bound socket, its address for people, and the settings that go with where it listens."""

    socket: socket.socket
    url: str
    settings: Settings


def listen(
    host: str, port: int, token: str | None, allowed_hosts: tuple[str, ...] = (), settings: Settings | None = None
) -> Listening:
    """Bind a socket, before a model is loaded. InputError if the address is taken, or reaches out without a token."""
    local = _is_loopback(host)
    if not local and token is None:
        raise InputError(
            f"--host {host} can be reached from other machines: give a --token too, for example one that "
            "`openssl rand -hex 16` makes."
        )
    if token is not None and (len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable()):
        raise InputError(f"The token must be {SHORTEST_TOKEN} plain characters or more.")
    known = settings or Settings()
    if known.label_studio is not None and not _ORIGIN.fullmatch(known.label_studio):
        raise InputError(f"--label-studio {known.label_studio} is no address such as http://localhost:8080.")
    bound = _bound(host, port)
    name = f"[{host}]" if ":" in host else host
    hosts = (*LOOPBACK_HOSTS, host.lower(), *(each.lower() for each in allowed_hosts))
    known = replace(known, token=token, hosts=hosts, any_address=not local)
    return Listening(bound, f"http://{name}:{bound.getsockname()[1]}", known)


def run(listening: Listening, model: Predictor, project: Any = None) -> None:
    """Serve until a signal says stop; requests that are being answered end first, for some seconds at most."""
    app = create_app(model, settings=listening.settings, project=project)
    app.state.service.warm_up()
    config = uvicorn.Config(
        app,
        http=BoundedConnection,
        ws="none",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    log_to_stderr()
    _Server(config, app.state.service).run(sockets=[listening.socket])


class _Server(uvicorn.Server):
    """Ends long work as soon as a signal comes, so that the connections which wait for it can end too."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's."""
        await super().startup(sockets)
        _logger.info("started")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """As uvicorn's, which would raise the signal again in the end: to be stopped is no failure here."""
        del frame
        _logger.info("stopping")
        self._service.stopping.set()
        self.force_exit = self.should_exit and sig == signal.SIGINT  # Ctrl-C again
        self.should_exit = True


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return _bound_to(socket.socket(family, kind, protocol), address)
    except OSError as error:
        raise InputError(
            f"Cannot listen on {host} port {port}: {error.strerror or error}. Choose another --host or --port."
        ) from error


def _bound_to(made: socket.socket, address: Any) -> socket.socket:
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(_BACKLOG)  # at once: of two servers that start together, one is refused
    except OSError:
        made.close()
        raise
    return made


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

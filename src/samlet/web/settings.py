"""What a server may be told: who may ask, how much it takes in, keeps and lets wait. It knows no web framework."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Settings:
    """How an application behaves; sizes in bytes and pixels, times in seconds.

    `token`: what every request must carry, None: nothing. `hosts`: names in `Host` that are answered, without ports;
    `any_address`: any address in digits too, as a server needs that others reach (and that asks for a token).
    `bodies_bytes`: of all requests that are being taken in. `waiting`: how many jobs of a kind may wait. `page`: a
    folder that is served at `/`. `label_studio`: the address (http://host:port) that images of
    its tasks are fetched from, with `label_studio_key`; without, none are.
    """

    token: str | None = None
    hosts: tuple[str, ...] = LOOPBACK_HOSTS
    any_address: bool = False
    body_bytes: int = 64 << 20
    bodies_bytes: int = 512 << 20
    pixels: int = 50_000_000
    cache_bytes: int = 1 << 30
    hints_bytes: int = 128 << 20
    waiting: int = 128
    encode_batch: int = 1
    answer_threads: int = 2
    receive_seconds: float = 60.0
    answer_seconds: float = 120.0
    page: Path | None = None
    label_studio: str | None = None
    label_studio_key: str | None = None

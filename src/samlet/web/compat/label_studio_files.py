"""Images of Label Studio's tasks: from the one address that the operator named, with a key that goes nowhere else.

A server that fetched what a request names could be made to ask the machines around it; so other addresses, and
redirections to them, are refused.
"""

from __future__ import annotations

from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from samlet.errors import InputError
from samlet.web.compat.asking import image_of

_SECONDS = 20


class _NoRedirections(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class LabelStudioFiles:
    """Fetches files of the Label Studio at `origin` (http://host:port, None: of none)."""

    def __init__(self, origin: str | None, key: str | None, most_bytes: int) -> None:
        self._origin, self._key, self._most_bytes = origin, key, most_bytes
        self._named_key = key is not None

    def learn_key(self, key: str) -> None:
        """Use the key that Label Studio sent with its project, unless the operator named one."""
        if not self._named_key and key.isascii() and key.isprintable():
            self._key = key

    def fetch(self, address: str) -> bytes:
        """The bytes at an address of a task, which may lack the host. InputError if it is elsewhere or gone."""
        if address.startswith("data:"):
            return image_of(address)
        if self._origin is None:
            raise InputError(
                "The image lies in Label Studio, whose address is not known: start the server with "
                "--label-studio http://HOST:PORT."
            )
        url = _joined(self._origin, address)
        if url is None or _origin_of(url) != _origin_of(self._origin):
            raise InputError(f"The image is not of {self._origin}, the only address that files are fetched from.")
        headers = {} if self._key is None else {"Authorization": f"Token {self._key}"}
        try:
            with build_opener(_NoRedirections).open(Request(url, headers=headers), timeout=_SECONDS) as answer:
                content: bytes = answer.read(self._most_bytes + 1)
        except HTTPError as error:
            raise InputError(f"Label Studio did not give the image: it answered {error.code}.") from None
        except (URLError, OSError, HTTPException, ValueError):
            raise InputError(f"Label Studio at {self._origin} does not answer.") from None
        if len(content) > self._most_bytes:
            raise InputError(f"The image in Label Studio is larger than {self._most_bytes / 1e6:.0f} MB.")
        return content


def _joined(origin: str, address: str) -> str | None:
    try:
        url = urljoin(f"{origin}/", address)
        urlsplit(url)
    except ValueError:
        return None
    return url


def _origin_of(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc

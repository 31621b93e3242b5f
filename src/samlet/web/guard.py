"""Who may ask: checks of Host, Origin, token and forged requests, and headers on every answer.

Middleware before all routes, so that no route can forget it. It reads no body.
"""

from __future__ import annotations

import hmac
import ipaddress
from base64 import b64decode
from binascii import Error as Base64Error
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from samlet.web.failures import failure
from samlet.web.policy import PAGE_POLICY
from samlet.web.settings import Settings

COOKIE = "samlet_token"
OWN_HEADER = "x-samlet"
_OPEN = ("/health",)  # says nothing but that the server runs
_TOKEN_IN_BODY = ("/sam2/", "/sam3/")  # whose clients send it there: these routes ask `check_token_of_body`
_CHECKED = "samlet.token_is_right"
_READING = ("GET", "HEAD", "OPTIONS")
# What a page of another origin may send without asking first (the Fetch standard's "simple" requests).
_FORGEABLE = ("", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded")
_WRONG_TOKEN = "The server's token is missing or wrong: send Authorization: Bearer TOKEN."
_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": f"{PAGE_POLICY}; frame-ancestors 'none'",
}


class Guard:
    """Answers 4xx for whoever may not ask; all others are let through."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application. WebSockets are refused: there are none here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    sent.setdefault(name, value)
            await send(message)

        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not self._is_known(host):
            return failure(421, "This host name is not served here: name it with --allow-host when the server starts.")
        if not _is_own(headers.get("origin"), host):
            return failure(403, "Requests of other origins are refused: open the server's own address.")
        if scope["method"] not in _READING and _is_forgeable(headers):
            return failure(403, "Send the header X-Samlet: 1, or a content type such as application/json.")
        return self._check_token(scope, headers)

    def _is_known(self, host: str) -> bool:
        name = _host_name(host)
        if name is None:
            return False
        return name in self._settings.hosts or (self._settings.any_address and _is_address(name))

    def _check_token(self, scope: Scope, headers: Headers) -> Response | None:
        token = self._settings.token
        if token is None or scope["path"] in _OPEN:
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["method"] == "GET" and scope["path"] == "/" and _same(given, token):
            answer = RedirectResponse("/", 303)
            answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", path="/")
            return answer
        scope[_CHECKED] = any(_same(each, token) for each in _tokens(headers))
        if scope[_CHECKED] or scope["path"].startswith(_TOKEN_IN_BODY):
            return None
        return failure(401, _WRONG_TOKEN, _CHALLENGE)


def check_token_of_body(scope: Scope, given: str | None) -> None:
    """HTTPException 401 unless the headers, or the body by `given`, carry the server's token, if it has one."""
    service = scope["app"].state.service
    token = service.settings.token
    if token is not None and not scope.get(_CHECKED) and not _same(given or "", token):
        raise HTTPException(401, _WRONG_TOKEN, _CHALLENGE)


def _host_name(host: str) -> str | None:
    """The name in a Host header, without port and brackets; None if it is none."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname if parts.netloc == host and "@" not in host else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_own(origin: str | None, host: str) -> bool:
    return origin is None or origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


def _is_forgeable(headers: Headers) -> bool:
    if OWN_HEADER in headers:
        return False
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in _FORGEABLE


def _tokens(headers: Headers) -> list[str]:
    """The tokens that a request carries: of curl, of the page, of tools with a password or a header of their own."""
    kind, _, value = headers.get("authorization", "").partition(" ")
    given = [headers.get("token", "")]
    if kind.lower() in ("bearer", "token"):
        given.append(value.strip())
    if kind.lower() == "basic":
        try:
            given.append(b64decode(value.strip(), validate=True).decode().partition(":")[2])
        except (Base64Error, ValueError):
            return given
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        cookie = None
    return [*given, cookie.value if cookie else ""]


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode())

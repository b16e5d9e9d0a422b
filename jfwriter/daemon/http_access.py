"""Who may ask what over HTTP: the name that the writer is called by, the token, and no help from other pages.

A web page that somebody at the beamline opens can make the browser ask this machine. It must not get through:
neither by a name of its own that it has resolve to this machine (DNS rebinding: the `Host` header tells), nor
by a request that it sends blindly (CSRF: the `Origin` header tells).
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from jfwriter.secret_files import token_of
from jfwriter.socket_settings import HttpSettings

MAX_BODY_BYTES = 64 << 10
SAFE_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
OPEN_PATHS = frozenset({"/", "/openapi.json"})
"""What tells nothing about the writer: the empty page, which asks for the token, and the description."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a request is not answered. `reason` is a counter label, `word` and `text` the error."""

    status: int
    reason: str
    word: str
    text: str


class Access:
    """Checks requests before they reach what they ask for; event loop only."""

    def __init__(self, settings: HttpSettings) -> None:
        """Raises SettingsError if the token cannot be read."""
        self.use(settings)

    def use(self, settings: HttpSettings) -> None:
        """Take token and names from `settings`. Raises SettingsError, and then nothing has changed."""
        token = token_of(settings.token_file) if settings.token_file else ""
        self._token = token.encode()
        self._token_for_reading = settings.token_for_reading
        self._allowed = {name.lower().rstrip(".") for name in settings.allowed_hosts}
        self._names = {"localhost", socket.gethostname().lower(), settings.host.lower(), *self._allowed}

    def refuse(self, request: web.Request) -> Refused | None:
        """Why `request` is not answered, None if it is. Its path is looked at by the router before."""
        return self._body(request) or self._host(request) or self._rights(request)

    @staticmethod
    def _body(request: web.Request) -> Refused | None:
        if hdrs.TRANSFER_ENCODING in request.headers:
            text = "a body needs a Content-Length; nothing here takes one of unknown size"
            return Refused(411, "body", "length_required", text)
        if (request.content_length or 0) > MAX_BODY_BYTES:
            return Refused(413, "body", "too_large", f"at most {MAX_BODY_BYTES} bytes are read")
        return None

    def _host(self, request: web.Request) -> Refused | None:
        for host in request.headers.getall(hdrs.HOST, ()):
            if not self._is_own(_name_in(host)):
                text = (
                    "the writer is not known by this name; use its address, or list it in http.allowed_hosts"
                )
                return Refused(421, "host", "unknown_host", text)
        return None

    def _is_own(self, name: str) -> bool:
        """An address cannot be made to mean another machine, a name can."""
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return True

    def _rights(self, request: web.Request) -> Refused | None:
        if request.match_info.http_exception is not None:
            return None  # not found or not possible, whoever asks
        changes = request.method not in SAFE_METHODS
        if changes and self._is_foreign(request):
            return Refused(403, "cross_site", "cross_site", "a page of another site may change nothing here")
        needed = self._token and (changes or (self._token_for_reading and request.path not in OPEN_PATHS))
        if needed and not self._has_token(request):
            text = "send the token of http.token_file: Authorization: Bearer TOKEN"
            return Refused(401, "token", "unauthorized", text)
        return None

    def _is_foreign(self, request: web.Request) -> bool:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None:
            return False
        try:
            place = urlsplit(origin).netloc
        except ValueError:
            return True
        # Behind a proxy, `Host` may not be the name that the browser knows.
        return place.lower() != request.host.lower() and _name_in(place) not in self._allowed

    def _has_token(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        given_bytes = given.strip().encode("utf-8", "surrogateescape")
        return scheme.lower() == "bearer" and hmac.compare_digest(given_bytes, self._token)


def _name_in(host: str) -> str:
    """The name or address in a `Host` header, without the port (RFC 9110, section 7.2)."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().rstrip(".")

"""Status and control over HTTP. GET never changes anything; every error is JSON."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from jfwriter.daemon import metrics, page
from jfwriter.daemon.http_access import SAFE_METHODS, Access
from jfwriter.daemon.http_connections import Connections, max_connections
from jfwriter.daemon.jsontext import dumps
from jfwriter.daemon.openapi import description
from jfwriter.daemon.status import ErrorReply, Health, LastRun, Status
from jfwriter.daemon.wire_log import WireLog
from jfwriter.errors import EndpointError
from jfwriter.socket_settings import HttpSettings

SHUTDOWN_S = 1.0
LINGER_S = 1.0
"""How long the rest of a body that nobody wants is read."""
BACKLOG = 1024
ACCEPTED_AT_ONCE = 8
"""Connections, before the event loop looks at the images again."""
MAX_LINE_BYTES = 8190
MAX_HEADERS = 64
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Server": "jfwriter",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_log = logging.getLogger(__name__)


class Asked(Protocol):
    """What HTTP needs of the daemon (`control.Control`)."""

    http_refused: Counter[str]

    def status(self) -> Status: ...
    async def health(self) -> Health: ...
    async def cancel(self) -> LastRun | None: ...


def bind(settings: HttpSettings) -> socket.socket:
    """The listening socket. Raises EndpointError when the port is taken or the host not this machine's."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port or 0), family=family, backlog=BACKLOG)
    except OSError as error:
        raise EndpointError(
            f"HTTP: cannot bind {settings.host} port {settings.port}: {error.strerror or error}; "
            "choose another port, or stop the program that holds it"
        ) from error


def endpoint(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class HttpServer:
    """Serves one listening socket on the event loop."""

    def __init__(self, listener: socket.socket, asked: Asked, access: Access) -> None:
        self._listener = listener
        self._gate = _Gate(access, asked.http_refused)
        app = web.Application(middlewares=[self._gate.answer])
        app.on_response_prepare.append(_add_headers)
        routes = _Routes(asked)
        app.router.add_get("/", routes.page)
        app.router.add_get("/status", routes.status)
        app.router.add_get("/health", routes.health)
        app.router.add_get("/metrics", routes.metrics)
        app.router.add_get("/openapi.json", routes.openapi)
        app.router.add_post("/cancel", routes.cancel)
        server_log = logging.getLogger("aiohttp.server")
        server_log.filters = [_NotHttp()]
        self._server: asyncio.Server | None = None
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=SHUTDOWN_S,
            lingering_time=LINGER_S,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            max_headers=MAX_HEADERS,
        )

    async def start(self) -> None:
        await self._runner.setup()
        make = self._runner.server
        assert make is not None  # noqa: S101 set up
        self._gate.connections = Connections(make, self._gate.refused, max_connections())
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._gate.connections, sock=self._listener, backlog=ACCEPTED_AT_ONCE
        )
        # asyncio takes as many in one go as its backlog is long, and the kernel's queue for the same.
        self._listener.listen(BACKLOG)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()


class _Routes:
    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._metrics = metrics.Metrics(asked.status)
        self._page = page.Page()
        self._openapi = dumps(description())

    async def page(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self._page.html, content_type="text/html", charset="utf-8", headers=self._page.headers
        )

    async def status(self, _: web.Request) -> web.Response:
        return _json(dumps(dataclasses.asdict(self._asked.status())))

    async def health(self, _: web.Request) -> web.Response:
        health = await self._asked.health()
        if health.healthy:
            return _json(dumps(dataclasses.asdict(health)))
        return _error(503, "unhealthy", "; ".join(health.problems))

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def openapi(self, _: web.Request) -> web.Response:
        return _json(self._openapi)

    async def cancel(self, _: web.Request) -> web.Response:
        try:
            result = await self._asked.cancel()
        except asyncio.CancelledError:
            return _error(503, "stopping", "the writer ended before the run was finalized")
        if result is None:
            return _error(409, "idle", "no run is open")
        return _json(dumps(dataclasses.asdict(result)))


class _NotHttp(logging.Filter):
    """For what is not HTTP aiohttp logs a traceback each time, with which anybody could fill the log."""

    def __init__(self) -> None:
        super().__init__()
        self._log = WireLog(_log)

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            return True
        text = f"{record.getMessage()}: {type(error).__name__}: {error.message}"
        self._log.say(logging.WARNING, text)
        return False


_WORDS = {404: "not_found", 405: "method_not_allowed"}


class _Gate:
    """Everything that stands between a connection and what is asked for."""

    def __init__(self, access: Access, refused: Counter[str]) -> None:
        self.refused = refused
        self.connections: Connections | None = None
        self._access = access
        self._turn = asyncio.Lock()
        self._log = WireLog(_log)

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        transport = request.transport
        if self.connections is not None:
            self.connections.request_begins(transport)
        try:
            return await self._answer(request, handler)
        finally:
            if self.connections is not None:
                self.connections.request_ends(transport)

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method in SAFE_METHODS:
            # One in each round of the event loop, so that a crowd that reads keeps neither images nor a
            # cancellation waiting. The lock lets them through as they came.
            async with self._turn:
                await asyncio.sleep(0)
        refused = self._access.refuse(request)
        if refused is not None:
            self.refused[refused.reason] += 1
            self._log.once(
                logging.WARNING,
                ("refused", refused.reason, request.remote),
                f"HTTP: {request.method} {request.path} from {request.remote} is refused ({refused.reason})",
            )
            headers = {"WWW-Authenticate": 'Bearer realm="jfwriter"'} if refused.status == 401 else {}
            return _error(refused.status, refused.word, refused.text, headers)
        return await _errors_as_json(request, handler)


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in SECURITY_HEADERS.items():
        if name == "Server" or name not in response.headers:
            response.headers[name] = value


async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        word = _WORDS.get(error.status, "bad_request")
        return _error(error.status, word, _explanation(request, error), headers)
    except Exception:  # noqa: BLE001 one answer failed, not the daemon
        _log.exception("the answer to %s %s failed", request.method, request.path)
        return _error(500, "bug", "the answer failed; the writer's log says more")


def _explanation(request: web.Request, error: web.HTTPException) -> str:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return f"{request.method} is not possible here; use {allowed}"
    if isinstance(error, web.HTTPNotFound):
        return "there is nothing here; /openapi.json describes what there is"
    return error.reason


def _error(status: int, word: str, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return _json(dumps(dataclasses.asdict(ErrorReply(word, text))), status, headers)


def _json(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)

"""Status and control over HTTP. GET never changes anything; every error is JSON."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from jfwriter.daemon import metrics, page
from jfwriter.daemon.jsontext import dumps
from jfwriter.daemon.openapi import description
from jfwriter.daemon.status import ErrorReply, Health, LastRun, Status
from jfwriter.daemon.wire_log import WireLog
from jfwriter.errors import EndpointError
from jfwriter.settings import HttpSettings

MAX_BODY_BYTES = 64 << 10
SHUTDOWN_S = 1.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_log = logging.getLogger(__name__)


class Asked(Protocol):
    """What HTTP needs of the daemon (`control.Control`)."""

    def status(self) -> Status: ...
    async def health(self) -> Health: ...
    async def cancel(self) -> LastRun | None: ...


def bind(settings: HttpSettings) -> socket.socket:
    """The listening socket. Raises EndpointError when the port is taken or the host not this machine's."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port or 0), family=family, backlog=128)
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

    def __init__(self, listener: socket.socket, asked: Asked) -> None:
        app = web.Application(middlewares=[_errors_as_json])
        routes = _Routes(asked)
        app.router.add_get("/", routes.page)
        app.router.add_get("/status", routes.status)
        app.router.add_get("/health", routes.health)
        app.router.add_get("/metrics", routes.metrics)
        app.router.add_get("/openapi.json", routes.openapi)
        app.router.add_post("/cancel", routes.cancel)
        self._listener = listener
        server_log = logging.getLogger("aiohttp.server")
        server_log.filters = [_NotHttp()]
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)

    async def start(self) -> None:
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener).start()

    async def close(self) -> None:
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


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    if (request.content_length or 0) > MAX_BODY_BYTES:
        return _error(413, "too_large", f"at most {MAX_BODY_BYTES} bytes are read")
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        reply = _error(error.status, _WORDS.get(error.status, "bad_request"), _explanation(request, error))
        if "Allow" in error.headers:
            reply.headers["Allow"] = error.headers["Allow"]
        return reply
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


def _error(status: int, word: str, text: str) -> web.Response:
    return _json(dumps(dataclasses.asdict(ErrorReply(word, text))), status)


def _json(body: bytes, status: int = 200) -> web.Response:
    return web.Response(
        body=body, status=status, content_type="application/json", headers={"Cache-Control": "no-store"}
    )

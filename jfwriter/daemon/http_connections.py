"""How many HTTP connections there may be, and how long one may keep the writer waiting.

aiohttp waits without limit for the first request of a connection and for a client to read its answer. Each
connection is a descriptor, and without descriptors no file can be opened.
"""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Callable

CLIENT_S = 20.0
"""A client that is due to send a request, or to take its answer, has so long; then it is cut off."""
MAX_CONNECTIONS = 2048
_RESERVED_DESCRIPTORS = 4


def max_connections() -> int:
    """At most a quarter of the descriptors that the process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        MAX_CONNECTIONS
        if soft == resource.RLIM_INFINITY
        else min(MAX_CONNECTIONS, soft // _RESERVED_DESCRIPTORS)
    )


class Connections:
    """Makes the protocol of each connection: that of `make`, watched. Event loop only."""

    def __init__(
        self,
        make: Callable[[], asyncio.Protocol],
        refused: Counter[str],
        most: int,
        client_s: float = CLIENT_S,
    ) -> None:
        self._make = make
        self._refused = refused
        self._most = most
        self._client_s = client_s
        self._watched: dict[asyncio.BaseTransport, _Watched] = {}

    def __call__(self) -> asyncio.Protocol:
        return _Watched(self, self._make())

    def request_begins(self, transport: asyncio.BaseTransport | None) -> None:
        """The request has come whole: from now on it is the writer's turn."""
        if transport is not None and (watched := self._watched.get(transport)) is not None:
            watched.stop_clock()

    def request_ends(self, transport: asyncio.BaseTransport | None) -> None:
        """The answer is made: it is for the client to take it, and to ask the next."""
        if transport is not None and (watched := self._watched.get(transport)) is not None:
            watched.start_clock(self._client_s)

    def opened(self, watched: _Watched, transport: asyncio.Transport) -> bool:
        """False: there are too many."""
        if len(self._watched) >= self._most:
            self._refused["connections"] += 1
            return False
        self._watched[transport] = watched
        watched.start_clock(self._client_s)
        return True

    def closed(self, transport: asyncio.BaseTransport) -> None:
        self._watched.pop(transport, None)

    def timed_out(self) -> None:
        self._refused["too_slow"] += 1


class _Watched(asyncio.Protocol):
    """Passes everything on to the protocol of HTTP, and cuts the connection when the client's time is up."""

    def __init__(self, connections: Connections, inner: asyncio.Protocol) -> None:
        self._connections = connections
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 TCP
        if not self._connections.opened(self, transport):
            transport.abort()
            return
        self._transport = transport
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.stop_clock()
        if self._transport is not None:
            self._connections.closed(self._transport)
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return None if self._transport is None else self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def start_clock(self, seconds: float) -> None:
        self.stop_clock()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._cut)

    def stop_clock(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut(self) -> None:
        self._connections.timed_out()
        if self._transport is not None:
            self._transport.abort()

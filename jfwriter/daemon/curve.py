"""CURVE (ZeroMQ RFC 25, 26): encrypted sockets that let only those in who have the right key.

A bound socket is a server: whoever connects must know the writer's public key, and where keys are listed, its
own must be among them: asked over ZAP (ZeroMQ RFC 27) inside the process, answered on the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

import zmq
from zmq.auth import Authenticator
from zmq.utils.monitor import parse_monitor_message

from jfwriter.daemon.sockets import Context, Socket, descriptor
from jfwriter.secret_files import curve_secret_of
from jfwriter.socket_settings import CurveSettings

FAILED_HANDSHAKES = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
LOG_INTERVAL_S = 60.0
"""Who is refused tries again ten times in a second."""

_DOMAIN = b"jfwriter"
_log = logging.getLogger(__name__)


class Door:
    """Counts those whom a bound socket has not let in; event loop only."""

    def __init__(self, socket: Socket, use: str) -> None:
        self.n_refused = 0
        self._socket = socket
        self._use = use
        self._said_at = -LOG_INTERVAL_S
        self._monitor: Socket = socket.get_monitor_socket(FAILED_HANDSHAKES)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor(self._monitor), self._read)
        self._read()

    def _read(self) -> None:
        while self._monitor.poll(0):
            parse_monitor_message(self._monitor.recv_multipart(zmq.NOBLOCK))
            self.n_refused += 1
            now = time.monotonic()
            if now - self._said_at >= LOG_INTERVAL_S:
                self._said_at = now
                _log.warning(
                    "%s: somebody without the right key was not let in (%d)", self._use, self.n_refused
                )

    def close(self) -> None:
        """Before the socket itself is closed."""
        self._loop.remove_reader(descriptor(self._monitor))
        self._socket.disable_monitor()
        self._monitor.close(0)


class Gatekeeper:
    """Says over ZAP who may connect to the CURVE sockets of one context; event loop only."""

    def __init__(self, context: Context, settings: CurveSettings) -> None:
        """Raises SettingsError if the key cannot be read."""
        self._secret = curve_secret_of(settings.secret_key_file).encode()
        self._allowed: frozenset[bytes] = frozenset()
        self.use(settings)
        self._authenticator = Authenticator(context)
        self._authenticator.start()
        self._authenticator.configure_curve_callback(_DOMAIN.decode(), self)
        self._asked: Socket = self._authenticator.zap_socket
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor(self._asked), self._on_asked)
        self._on_asked()

    def use(self, settings: CurveSettings) -> None:
        """Who may connect from now on; those who are connected stay."""
        self._allowed = frozenset(key.encode() for key in settings.allowed_keys)

    def guard(self, socket: Socket) -> None:
        """Make `socket`, which is not bound yet, a CURVE server. Without a gatekeeper nobody gets in."""
        socket.curve_server = 1
        socket.curve_secretkey = self._secret
        socket.zap_domain = _DOMAIN
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)

    def callback(self, _domain: str, key: bytes) -> bool:
        """Called by pyzmq's authenticator: whether the program with this public key may connect."""
        return not self._allowed or key in self._allowed

    def _on_asked(self) -> None:
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._answer(), name="curve")

    async def _answer(self) -> None:
        with contextlib.suppress(zmq.Again):
            while True:
                await self._authenticator.handle_zap_message(self._asked.recv_multipart(zmq.NOBLOCK))

    async def close(self) -> None:
        self._loop.remove_reader(descriptor(self._asked))
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._authenticator.stop()


def be_client(socket: Socket, server_key: str, settings: CurveSettings) -> None:
    """Make `socket`, not connected yet, a CURVE client of the server with the public key `server_key`.

    Without a key file it shows a key made for this process. Raises SettingsError if the file cannot be read.
    """
    if settings.secret_key_file:
        secret = curve_secret_of(settings.secret_key_file).encode()
        public = zmq.curve_public(secret)
    else:
        public, secret = zmq.curve_keypair()
    socket.curve_serverkey = server_key.encode()
    socket.curve_publickey = public
    socket.curve_secretkey = secret


def new_key_pair() -> tuple[str, str]:
    """A new (public, secret) key, Z85 (ZeroMQ RFC 32)."""
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def public_key_of(secret: str) -> str:
    """The public key that belongs to `secret`."""
    return zmq.curve_public(secret.encode()).decode()

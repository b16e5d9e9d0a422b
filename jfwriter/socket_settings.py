"""Settings of the daemon's sockets, and of who may talk to it."""

from __future__ import annotations

import re
from typing import Annotated, Self

import pydantic
from pydantic import Field
from pydantic_core import PydanticCustomError

from jfwriter.secret_files import Z85_KEY, CurveSecretFile, TokenFile
from jfwriter.settings_section import Section

Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[int, Field(ge=1)]
CurveKey = Annotated[str, Field(pattern=f"^{Z85_KEY}$")]

_ADDRESS = re.compile(r"(tcp|ipc)://\S+")


class InputSettings(Section):
    """Where messages come from."""

    addresses: tuple[str, ...] = ()
    """ZeroMQ addresses of the sender's PUSH sockets to connect to, e.g. "tcp://dcu:5400". Empty: the
    command line names one."""
    watermark_messages: Positive = 100
    """ZeroMQ receive watermark per address, in messages. Memory: watermark x message size."""
    receive_buffer_bytes: Annotated[int, Field(ge=0)] = 0
    """Kernel receive buffer (SO_RCVBUF) in bytes; 0 leaves the system's choice."""
    io_threads: Annotated[int, Field(ge=1, le=16)] = 1
    """ZeroMQ I/O threads; one carries about 5 GB/s."""
    curve_server_keys: tuple[CurveKey, ...] = ()
    """Public CURVE keys (40 characters) of the senders: one for all addresses, or one for each in their
    order. The writer then receives from nobody else. Empty: no CURVE."""

    @pydantic.field_validator("addresses")
    @classmethod
    def _zeromq_addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [address for address in addresses if not _ADDRESS.fullmatch(address)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no ZeroMQ address; expected e.g. tcp://dcu:5400")
        return addresses

    @pydantic.model_validator(mode="after")
    def _a_key_for_each(self) -> Self:
        n_keys = len(self.curve_server_keys)
        if self.addresses and n_keys not in {0, 1, len(self.addresses)}:
            text = "curve_server_keys has {n_keys} keys for {n} addresses; expected one, or one for each"
            raise PydanticCustomError("keys", text, {"n_keys": n_keys, "n": len(self.addresses)})
        return self


class CurveSettings(Section):
    """Keys of encrypted sockets (ZeroMQ CURVE)."""

    secret_key_file: CurveSecretFile = ""
    """File with the writer's secret key that only the writer can read (`jfwriter keys curve FILE` makes one),
    or "credential:NAME" (systemd)."""
    allowed_keys: tuple[CurveKey, ...] = ()
    """Public keys of the programs that may connect to the sockets for republishing and announcements. Empty:
    every program that knows the writer's public key."""


class RepublishSettings(Section):
    """The PUSH socket that sends every message on, unchanged."""

    port: Port | None = None
    """TCP port; not set: no republishing. 0 takes a free port."""
    host: str = "0.0.0.0"  # noqa: S104 drop-in: consumers run on other machines
    """Interface to bind."""
    watermark_messages: Positive = 1000
    """Send watermark in messages. Memory with a slow consumer: watermark x message size."""
    curve: bool = False
    """Encrypt, and let only those in whom [curve] allows."""


class AnnounceSettings(Section):
    """The PUB socket that announces each closed file."""

    port: Port | None = None
    """TCP port; not set: no announcements. 0 takes a free port."""
    host: str = "0.0.0.0"  # noqa: S104 drop-in: consumers run on other machines
    """Interface to bind."""
    announce_run_end: bool = False
    """Also announce each finalized run ("event": "run_finalized"). Older consumers expect a `filename`."""
    curve: bool = False
    """Encrypt, and let only those in whom [curve] allows."""


class HttpSettings(Section):
    """Status and control."""

    port: Port | None = None
    """TCP port; not set: no HTTP. 0 takes a free port."""
    host: str = "127.0.0.1"
    """Interface to bind."""
    token_file: TokenFile = ""
    """File with a token that only the writer can read (`jfwriter keys token FILE` makes one), or
    "credential:NAME" (systemd). Requests that change something must then send it. Empty: no token is asked
    for."""
    token_for_reading: bool = False
    """Ask for the token for reading, too."""
    allowed_hosts: tuple[str, ...] = ()
    """Names, without port, that the writer is called by in URLs, beside its addresses, "localhost" and the
    host name of the machine; a request for any other name is refused."""

    @pydantic.model_validator(mode="after")
    def _token_to_ask_for(self) -> Self:
        if self.token_for_reading and not self.token_file:
            raise PydanticCustomError("no_token", "token_for_reading needs http.token_file")
        return self

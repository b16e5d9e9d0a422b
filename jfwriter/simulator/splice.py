"""Image messages put together from a small part that changes and a large one that does not.

A CBOR map is a head with the number of pairs, then the pairs (RFC 8949, section 3): the pairs of two maps
behind one head are one map. Encoding a message anew for each image would copy its payload several times.
"""

from __future__ import annotations

from dataclasses import dataclass

from jfwriter.wire.encode import SELF_DESCRIBED

_MAP = 0xA0
_DIRECT = 24


@dataclass(frozen=True, slots=True)
class Body:
    """The pairs of a map without its head."""

    n_pairs: int
    pairs: bytes | memoryview


def map_body(message: bytes) -> Body:
    """Split an encoded map of definite length with its prefix. ValueError for anything else."""
    if message[:3] != SELF_DESCRIBED or len(message) < 4 or message[3] & 0xE0 != _MAP:
        raise ValueError(f"expected a CBOR map behind its prefix, got {message[:8].hex()}...")
    size = message[3] & 0x1F
    if size < _DIRECT:
        return Body(size, memoryview(message)[4:])
    n_bytes = {24: 1, 25: 2}.get(size)
    if n_bytes is None:
        raise ValueError(f"expected a map of fewer than 65536 pairs, got head {message[3]:#x}")
    return Body(int.from_bytes(message[4 : 4 + n_bytes]), memoryview(message)[4 + n_bytes :])


def without_type(body: Body, message_type: str) -> Body:
    """The pairs behind the leading `type`. ValueError if that is not the first pair."""
    name = message_type.encode()
    pair = b"\x64type" + bytes([0x60 | len(name)]) + name
    if bytes(body.pairs[: len(pair)]) != pair:
        raise ValueError(f"expected a message of type {message_type}")
    return Body(body.n_pairs - 1, body.pairs[len(pair) :])


def splice(*bodies: Body) -> bytes:
    """One message with the pairs of all bodies, in this order. Copies each once."""
    n_pairs = sum(body.n_pairs for body in bodies)
    if n_pairs < _DIRECT:
        head = bytes([_MAP | n_pairs])
    elif n_pairs < 1 << 8:
        head = bytes([_MAP | 24, n_pairs])
    else:
        head = bytes([_MAP | 25]) + n_pairs.to_bytes(2)
    return b"".join((SELF_DESCRIBED, head, *(body.pairs for body in bodies)))

"""RFC 8949, appendix C: is one item of bytes well-formed CBOR? Written down from the RFC, for comparison."""

from __future__ import annotations

MAX_DEPTH = 300


class NotWellFormedError(Exception):
    """The bytes are no CBOR item."""


def is_well_formed(data: bytes) -> bool:
    """Whether `data` is exactly one well-formed item."""
    try:
        _, end = _item(data, 0, 0, breakable=False)
    except NotWellFormedError:
        return False
    return end == len(data)


def _head(data: bytes, at: int) -> tuple[int, int, int, int]:
    """(major type, additional information, argument, position behind the head)."""
    if at >= len(data):
        raise NotWellFormedError
    major, info = data[at] >> 5, data[at] & 31
    size = {24: 1, 25: 2, 26: 4, 27: 8}.get(info, 0)
    if at + 1 + size > len(data) or info in {28, 29, 30}:
        raise NotWellFormedError
    argument = int.from_bytes(data[at + 1 : at + 1 + size], "big") if size else info
    return major, info, argument, at + 1 + size


def _item(data: bytes, at: int, depth: int, *, breakable: bool) -> tuple[int, int]:
    """(major type, -1 for a break; position behind the item)."""
    if depth > MAX_DEPTH:
        raise NotWellFormedError
    major, info, argument, at = _head(data, at)
    if info == 31:
        return _indefinite(data, major, at, depth, breakable=breakable)
    if major in {2, 3}:
        at += argument
        if at > len(data):
            raise NotWellFormedError
    elif major in {4, 5, 6}:
        n_items = {4: argument, 5: 2 * argument, 6: 1}[major]
        for _ in range(n_items):
            _, at = _item(data, at, depth + 1, breakable=False)
    elif major == 7 and info == 24 and argument < 32:
        raise NotWellFormedError
    return major, at


def _indefinite(data: bytes, major: int, at: int, depth: int, *, breakable: bool) -> tuple[int, int]:
    if major == 7:
        if not breakable:
            raise NotWellFormedError
        return -1, at
    if major not in {2, 3, 4, 5}:
        raise NotWellFormedError
    n_items = 0
    while True:
        is_open = at < len(data) and data[at] & 31 == 31
        kind, end = _item(data, at, depth + 1, breakable=True)
        if kind == -1:
            if major == 5 and n_items % 2:
                raise NotWellFormedError
            return major, end
        if major in {2, 3} and (kind != major or is_open):
            raise NotWellFormedError
        at, n_items = end, n_items + 1

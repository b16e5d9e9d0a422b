"""The fuzzers' own checks on their seeds and on the corpus that is kept; and that the checks can fail."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fuzz import decoder, engine, payloads, seeds, sessions
from fuzz.guarded import Guarded
from fuzz.interpreted import Memory, OutOfBoundsError, interpreted
from fuzz.well_formed import is_well_formed

CHECKS: dict[str, Callable[[bytes], None]] = {
    "decoder": decoder.check,
    "payloads": payloads.check,
    "sessions": sessions.check,
}


@pytest.mark.parametrize("name", CHECKS)
def test_the_kept_corpus(name: str) -> None:
    kept = engine.kept(name)
    assert len(kept) >= 50
    for data in kept:
        CHECKS[name](data)


def test_the_seeds() -> None:
    for data in [*seeds.messages()][::5]:
        decoder.check(data)
    for data in [*seeds.payloads()][::3]:
        payloads.check(data)


def test_an_access_out_of_bounds_is_seen() -> None:
    memory = Memory(4)
    for access in (lambda: memory[4], lambda: memory[-1], lambda: memory.__setitem__(slice(2, 5), b"abc")):
        with pytest.raises(OutOfBoundsError):
            access()
    lz4 = interpreted("jfwriter.compression._lz4", lambda function: function)
    with pytest.raises(OutOfBoundsError):
        lz4.copy_exactly(Memory(3), 0, Memory(8), 0, 4)


def test_memory_ends_at_a_guard_page() -> None:
    data = Guarded(100).holding(b"abc")
    assert data.tobytes() == b"abc"
    assert (data.ctypes.data + data.size) % 4096 == 0
    assert not data.flags.writeable
    assert Guarded(5000).last(7).size == 7


def test_a_difference_between_the_scans_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    real = decoder.scan
    monkeypatch.setattr(decoder, "scan", lambda *arguments: real(*arguments) + 1)
    with pytest.raises(AssertionError, match=r"compiled|well-formed"):
        decoder.check(b"\xa0")


def test_a_wrong_pixel_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    real = payloads.decompress

    def decompress(*arguments: object) -> object:
        pixels = real(*arguments)  # type: ignore[arg-type]
        pixels.reshape(-1).view(np.uint8)[0] ^= 1
        return pixels

    monkeypatch.setattr(payloads, "decompress", decompress)
    sound = next(data for data in seeds.payloads() if data[1] == 0 and len(data) > 40)
    with pytest.raises(AssertionError, match="three ways"):
        payloads.check(sound)


@pytest.mark.parametrize(
    ("data", "good"),
    [(b"", False), (b"\xa0", True), (b"\xa1\x00", False), (b"\x9f\xff", True), (b"\xbf\x00\xff", False),
     (b"\x5f\x41a\xff", True), (b"\x5f\x61a\xff", False), (b"\xf8\x14", False), (b"\x1c", False),
     (b"\xff", False)],
)  # fmt: skip
def test_the_grammar_of_the_rfc(data: bytes, good: bool) -> None:
    assert is_well_formed(data) == good

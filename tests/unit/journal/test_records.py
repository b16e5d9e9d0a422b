"""The framing of journals: whatever is cut off or damaged, what is read is a prefix of what was written."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from jfwriter.journal.records import HEAD, Kind, Reader, Record, record

KINDS = st.sampled_from(Kind)
WRITTEN = st.lists(st.tuples(KINDS, st.lists(st.binary(max_size=40), max_size=3)), max_size=6)


def read(data: bytes) -> tuple[list[Record], Reader]:
    reader = Reader(io.BytesIO(data), len(data))
    return list(reader), reader


def told(written: list[tuple[Kind, list[bytes]]]) -> list[Record]:
    return [Record(kind, b"".join(parts)) for kind, parts in written]


@given(WRITTEN)
def test_what_is_written_is_read(written):
    data = b"".join(record(kind, *parts) for kind, parts in written)
    found, reader = read(data)
    assert found == told(written)
    assert (reader.n_bytes, reader.is_torn) == (len(data), False)


@given(WRITTEN, st.data())
def test_a_journal_cut_off_anywhere_gives_the_records_before_the_cut(written, data):
    pieces = [record(kind, *parts) for kind, parts in written]
    whole = b"".join(pieces)
    cut = data.draw(st.integers(0, len(whole)))
    ends = [sum(map(len, pieces[: i + 1])) for i in range(len(pieces))]
    n_whole = sum(end <= cut for end in ends)
    found, reader = read(whole[:cut])
    assert found == told(written)[:n_whole]
    assert reader.is_torn == (cut not in [0, *ends])
    assert reader.is_cut


@given(WRITTEN.filter(bool), st.data())
def test_a_changed_byte_ends_the_journal_there(written, data):
    pieces = [record(kind, *parts) for kind, parts in written]
    whole = bytearray(b"".join(pieces))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    n_before = sum(sum(map(len, pieces[: i + 1])) <= at for i in range(len(pieces)))
    found, reader = read(bytes(whole))
    assert found == told(written)[:n_before]
    assert reader.is_torn


@given(st.binary(max_size=200))
def test_any_bytes_behind_the_records_are_told(rest):
    good = record(Kind.RUN, b"{}")
    found, reader = read(good + rest)
    assert found[0] == Record(Kind.RUN, b"{}")
    assert reader.is_torn == (reader.n_bytes < len(good + rest))


def test_a_length_beyond_the_end_asks_for_no_memory():
    data = HEAD.pack(0x314C4E4A, Kind.IMAGE, 0xFFFF_FFFF, 0)
    assert read(data)[0] == []

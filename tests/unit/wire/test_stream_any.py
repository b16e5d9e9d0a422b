"""Whatever comes through a stream, its decoder gives the message or the error of the general one."""

from __future__ import annotations

import cbor2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jfwriter.settings import LimitSettings
from jfwriter.wire import aliases
from jfwriter.wire.plain_fields import PLACES, Kind
from jfwriter.wire.plain_image import PlainImage
from tests.support.hostile import WRONG
from tests.support.plain_images import (
    LIMITS,
    REGIONS,
    SUMS,
    Both,
    Raw,
    counts,
    double,
    encoded,
    half,
    head,
    learned,
    pairs,
    pixels,
    plain_fields,
    plain_message,
    single,
    singles,
    spot,
    sums,
)
from tests.support.wire_fields import IMAGE, raw_image, tag

EXTRA_KEYS = (*IMAGE, *aliases.IMAGE, aliases.LATTICE_TYPE, "type", "of the future", "", 5)
NARROW = LimitSettings(max_spots=2, max_azint_bins=5, max_rois=2, max_channels=1)
SHORT_WRONG = [Raw(cbor2.dumps(value)) for _, value in WRONG if len(cbor2.dumps(value)) < 3000]

integers = st.integers(-(2**65), 2**65) | st.integers(0, 300) | st.sampled_from([2**63 - 1, 2**63, 2**32])
floats = (
    st.floats()
    | st.integers(0, 2**16 - 1).map(half)
    | st.integers(0, 2**32 - 1).map(single)
    | st.integers(0, 2**64 - 1).map(double)
)
numbers = integers | floats | st.booleans() | st.none()
wrong = st.sampled_from(SHORT_WRONG) | numbers | st.just(cbor2.undefined)
arrays = st.builds(tag, st.integers(62, 89), st.binary(max_size=48)) | st.lists(numbers, max_size=4)
rationals = st.lists(st.integers(-1, 5) | integers, min_size=1, max_size=3)
names = st.sampled_from([*REGIONS, "other", "a\0"]) | st.text(max_size=5)


@st.composite
def maps(draw: st.DrawFn, keys: st.SearchStrategy[object], values: st.SearchStrategy[object]) -> Raw:
    """With entries in any order, sometimes two of one key."""
    return pairs(draw(st.lists(st.tuples(keys, values), max_size=4)))


@st.composite
def spot_tables(draw: st.DrawFn) -> Raw:
    rows = []
    for j in range(draw(st.integers(0, 4))):
        row = spot(j)
        for name in draw(
            st.lists(st.sampled_from([*row, "intensity", "dist_ewald_sphere", "n"]), max_size=3)
        ):
            if draw(st.booleans()):
                row[name] = draw(numbers)
            else:
                row.pop(name, None)
        rows.append(pairs(list(row.items())))
    return Raw(head(4, len(rows)) + b"".join(rows))


@st.composite
def regions(draw: st.DrawFn) -> Raw:
    found = []
    for name in draw(st.sampled_from([REGIONS, REGIONS, REGIONS[:1]])):
        entries = sums(draw(st.integers(-3, 3) | integers))
        for key in draw(st.lists(st.sampled_from([*SUMS, "x", "y"]), max_size=1)):
            entries[key] = draw(numbers)
        found.append((name, pairs(draw(st.permutations(list(entries.items()))))))
    return pairs(found)


@st.composite
def images(draw: st.DrawFn) -> Raw:
    number = draw(st.sampled_from([69, 77, 68, 70, 85, 71, 40]))
    content: object = draw(st.binary(max_size=80))
    if draw(st.booleans()):
        content = tag(56500, [draw(st.sampled_from(["bslz4", "lz4", "bszstd", "gz"])), 2, content])
    height = draw(st.sampled_from([5, 0, -1, 2**32, 1.0]))
    good = raw_image(pixels(draw(st.integers(0, 9))), 69)
    image = good if draw(st.booleans()) else tag(40, [[height, 8], tag(number, content)])
    return pairs(
        [(name, image) for name in draw(st.lists(st.sampled_from(["a", "b", "default"]), max_size=2))]
    )


BY_KIND: dict[Kind, st.SearchStrategy[object]] = {
    Kind.INTEGER: st.integers(0, 255) | integers,
    Kind.FLOAT: floats,
    Kind.BOOLEAN: st.booleans(),
    Kind.RATIONAL: rationals | rationals.map(lambda parts: tag(30, parts)),
    Kind.WORD: st.text(max_size=9) | st.text("aP\0", max_size=8),
    Kind.LATTICE: st.lists(floats.filter(lambda x: isinstance(x, float)), min_size=8, max_size=10).map(
        lambda values: singles(*np.array(values, "f8").clip(-3e38, 3e38))
    ),
    Kind.CONSTANT: st.text(max_size=5) | st.dictionaries(st.text(max_size=3), numbers, max_size=2),
    Kind.SINGLES: st.lists(st.floats(width=32), max_size=7).map(lambda values: singles(*values)),
    Kind.COUNTS: st.lists(st.integers(0, 2**32 - 1), max_size=7).map(lambda values: counts(*values)),
    Kind.SPOTS: spot_tables(),
    Kind.IMAGES: images(),
    Kind.REGIONS: regions(),
}


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """The usual message with some fields absent, others of other values, in another order."""
    fields = plain_fields(draw(st.integers(0, 9)))
    absent = draw(st.sets(st.sampled_from(sorted(fields)), max_size=3 if draw(st.booleans()) else 0))
    entries = [(name, value) for name, value in fields.items() if name not in absent]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(entries) - 1))
        name = entries[at][0]
        kinds = BY_KIND[PLACES[str(name)].kind] if name in PLACES else numbers
        entries[at] = (name, draw(kinds | wrong if draw(st.booleans()) else kinds))
    if not draw(st.integers(0, 5)):
        entries.append((draw(st.sampled_from(EXTRA_KEYS)), draw(wrong | arrays | maps(names, wrong))))
    if draw(st.booleans()):
        first = draw(st.integers(0, len(entries) - 1))
        entries = entries[first:] + entries[:first]
    return pairs(entries)


@given(st.lists(messages(), min_size=1, max_size=4), st.sampled_from([LIMITS, LIMITS, LIMITS, NARROW]))
@settings(max_examples=250)
def test_messages_of_any_fields_one_after_another(stream: list[bytes], limits: LimitSettings) -> None:
    both = Both(limits)
    both.read(plain_message())
    for data in stream:
        both.read(data)
        both.read(data)


def test_such_messages_are_of_both_kinds() -> None:
    """Else nothing would be compared."""
    found: set[type] = set()

    @given(messages())
    @settings(max_examples=40, database=None, derandomize=True)
    def look(data: bytes) -> None:
        found.add(type(learned().read(data)))

    look()
    assert PlainImage in found
    assert len(found) == 3


def _spans_outside_of_pixels(data: bytes) -> list[int]:
    start = data.index(pixels(5).tobytes())
    return [at for at in range(len(data)) if not start <= at < start + pixels(5).nbytes]


USUAL = plain_message(5)
PLACES_TO_CHANGE = _spans_outside_of_pixels(USUAL)


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    data = bytearray(USUAL)
    for _ in range(draw(st.integers(1, 2))):
        at = min(draw(st.sampled_from(PLACES_TO_CHANGE)), len(data) - 1)
        what = draw(st.integers(0, 5))
        if what <= 2:
            data[at] = draw(st.integers(0, 255))
        elif what == 3:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif what == 4:
            del data[at : at + draw(st.integers(1, 9))]
        else:
            data[at:at] = draw(st.binary(min_size=1, max_size=4))
        if not data:
            break
    return bytes(data)


@given(st.lists(mutations(), min_size=1, max_size=3))
@settings(max_examples=250)
def test_messages_with_changed_bytes(stream: list[bytes]) -> None:
    both = learned()
    for data in stream:
        both.read(data)
    assert [both.is_plain(USUAL) for _ in range(2)][1]


def test_each_byte_changed() -> None:
    """To its neighbours, and to heads that mean something else."""
    both = learned()
    rng = np.random.default_rng(7)
    for at in PLACES_TO_CHANGE:
        data = bytearray(USUAL)
        data[at] = int(rng.choice([data[at] ^ 1, data[at] ^ 0x20, data[at] ^ 0x80, 0xF6, 0xFF, 0x1B, 0]))
        both.read(bytes(data))
        both.read(USUAL)


def test_every_field_wrong_in_every_way() -> None:
    both = learned()
    one_of_each_kind = {place.kind: name for name, place in PLACES.items()}.values()
    for name in (*one_of_each_kind, "type", "image_id", "az_int_profile_std"):
        for value in SHORT_WRONG:
            both.read(encoded({**plain_fields(), name: value}))
        both.read(plain_message())

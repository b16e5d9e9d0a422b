"""Unpacking and packing: jfwriter against what a user would take instead, and against copying the pixels.

    python -m benchmarks.compression [--size module|4M|16M] [--rounds N]

Prints for each codec uncompressed GB/s on one thread, the ratio to `np.copyto` of the same bytes and to
HDF5's own filter pipeline, and how much more two threads do than one. Packages that are not installed are
left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from benchmarks import _measure
from benchmarks._peer_codecs import peers
from benchmarks._stream import SIZES, Size, compose, module_frames
from jfwriter.compression import check_framing, compress, decompress, pipeline
from jfwriter.compression.filters import filter_of
from jfwriter.payload import Codec, Payload

Image = npt.NDArray[np.generic]
Call = Callable[[], object]
Contestant = Callable[[Payload, Image], Call]
"""Makes the call that unpacks a payload, into the given array if it can."""

PACKED = (Codec.BSLZ4, Codec.LZ4, Codec.BSZSTD)
N_THREADS = 2
ROUND_BYTES = 1 << 28
"""Uncompressed bytes that each contestant unpacks in a round, at least one image."""
COPY, HDF5 = "np.copyto", "HDF5 filter pipeline"


@dataclass(frozen=True, slots=True)
class Subject:
    """An image and its payload in one codec."""

    image: Image
    payload: Payload

    @property
    def n_repeats(self) -> int:
        return max(1, ROUND_BYTES // self.image.nbytes)


def subject(size: Size, codec: Codec) -> Subject:
    image = compose(size, 0, module_frames())
    shape = (size.height, size.width)
    return Subject(image, Payload(memoryview(compress(image, codec)), codec, image.dtype, shape))


def into_given(payload: Payload, out: Image) -> Call:
    return lambda: decompress(payload, out)


def into_new(payload: Payload, _out: Image) -> Call:
    return lambda: decompress(payload)


def by_hdf5(payload: Payload, out: Image) -> Call:
    filter_ = filter_of(payload)
    assert filter_ is not None
    return lambda: pipeline.decode(payload.data, filter_, out)


def contestants(payload: Payload) -> dict[str, Contestant]:
    """By name; each is checked to unpack the payload before it is timed."""
    found: dict[str, Contestant] = {
        "jfwriter, given array": into_given,
        "jfwriter, new array": into_new,
        HDF5: by_hdf5,
    }
    return found | peers(payload)


def unpacking(subject: Subject, n_rounds: int) -> str:
    """Table of one codec."""
    outs = [_measure.new_warm(subject.image.shape, subject.image.dtype) for _ in range(N_THREADS)]
    calls: dict[str, Callable[[], object]] = {}
    n = subject.n_repeats
    for name, contestant in contestants(subject.payload).items():
        single = [_measure.repeated(contestant(subject.payload, out), n) for out in outs]
        calls[name] = single[0]
        calls[f"{name} x {N_THREADS}"] = _measure.in_threads(single)
    calls[COPY] = _measure.repeated(lambda: np.copyto(outs[0], subject.image), n)
    rounds = _measure.alternate(calls, n_rounds)
    amount_gb = n * subject.image.nbytes / 1e9
    rows = [("unpacking", "GB/s", "of np.copyto", "x HDF5", f"{N_THREADS} threads, x")]
    for name in contestants(subject.payload):
        scaling = rounds.ratio(f"{name} x {N_THREADS}", name)
        scaled = _measure.Spread(
            *(N_THREADS * value for value in (scaling.median, scaling.low, scaling.high))
        )
        rate, of_copy, of_hdf5 = (
            rounds.rate(name, amount_gb),
            rounds.ratio(name, COPY),
            rounds.ratio(name, HDF5),
        )
        rows.append((name, str(rate), str(of_copy), str(of_hdf5), str(scaled)))
    rows.append((COPY, str(rounds.rate(COPY, amount_gb)), "1", "", ""))
    return _measure.table(rows)


def other_work(subjects: Sequence[Subject], n_rounds: int) -> str:
    """Checking the framing, and packing, by codec."""
    calls: dict[str, Callable[[], object]] = {}
    for subject in subjects:
        payload, codec = subject.payload, subject.payload.codec
        calls[f"check {codec}"] = _measure.repeated(partial(check_framing, payload), 1000)
        calls[f"pack {codec}"] = partial(compress, subject.image, codec)
    rounds = _measure.alternate(calls, n_rounds)
    rows = [("codec", "check, us", "packing, GB/s", "packed to")]
    for subject in subjects:
        codec = subject.payload.codec
        check_us = _measure.spread([1e3 * s for s in rounds.seconds[f"check {codec}"]])
        packing = rounds.rate(f"pack {codec}", subject.image.nbytes / 1e9)
        ratio = f"1 : {subject.image.nbytes / len(subject.payload.data):.1f}"
        rows.append((str(codec), str(check_us), str(packing), ratio))
    return _measure.table(rows)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.compression", description=__doc__)
    parser.add_argument("--size", choices=list(SIZES), default="4M")
    parser.add_argument("--rounds", type=int, default=_measure.N_ROUNDS)
    options = parser.parse_args(arguments)
    size = SIZES[options.size]
    print(f"{options.size}: {size.height} x {size.width} {size.dtype}; medians (quartiles)\n")
    subjects = [subject(size, codec) for codec in PACKED]
    for each in subjects:
        print(f"{each.payload.codec}\n{unpacking(each, options.rounds)}\n")
    print(other_work(subjects, options.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

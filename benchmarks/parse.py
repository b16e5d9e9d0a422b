"""Parsing of image messages: does its time depend on the pixels, and what does it cost beside cbor2?

    python -m benchmarks.parse [--spots N ...] [--rounds N]

The reference is cbor2 on the same message with an empty payload: nobody who uses cbor2 is faster. `parsed` is
the item as Python values (`wire.item`), `decoded` the checked message (`wire.decode`). Goals: the time for
8 MB at most 1.2 times that for 1.5 MB; at most 1.5 times the reference.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import cbor2
import numpy as np

from benchmarks._measure import Rounds, alternate, middle, repeated, spread
from jfwriter.payload import Codec
from jfwriter.settings import LimitSettings
from jfwriter.wire.decode import decode
from jfwriter.wire.encode import encode, pixels
from jfwriter.wire.item import read_item

LIMITS = LimitSettings()
SIZES = {"1.5 MB": 1_500_000, "8 MB": 8_000_000, "32 MB": 32_000_000}
REFERENCE = "cbor2, empty payload"
N_REPEATS = 3
ROUND_S = 0.05
"""Least time of one contestant in one round."""
COUNTS = (
    "strong_pixel_count", "spot_count", "spot_count_low_res", "spot_count_ice_rings", "spot_count_indexed",
    "integrated_reflections", "saturated_pixel_count", "error_pixel_count", "packets_expected",
    "packets_received", "jf_info", "receiver_aq_dev_delay", "receiver_free_send_buf", "original_image_id",
)  # fmt: skip
RESULTS = (
    "bkg_estimate", "resolution_estimate", "profile_radius", "mosaicity", "b_factor", "beam_corr_x",
    "beam_corr_y", "image_scale_factor", "image_scale_cc", "image_scale_mosaicity", "image_scale_b_factor",
    "spot_finding_time", "indexing_time", "integration_time", "refinement_time", "processing_time",
    "preprocessing_time", "compression_time", "azint_time",
)  # fmt: skip


def fields(payload_bytes: int, n_spots: int) -> dict[str, object]:
    """An image message with about 40 scalars, a profile and spots."""
    rng = np.random.default_rng(1)
    return {
        "type": "image",
        "series_id": 1,
        "series_unique_id": "01GRXWT80JSDY2FNW8SGCCDZD9",
        "image_id": 5,
        "series_date": "2026-03-04T05:06:07Z",
        **{name: [1000 * i, 10_000_000] for i, name in enumerate(("start_time", "stop_time", "real_time"))},
        **{name: 10 * i for i, name in enumerate(COUNTS)},
        **{name: 0.1 * i for i, name in enumerate(RESULTS)},
        "indexing_result": True,
        "indexing_lattice": [79.0, 0.0, 0.0, 0.0, 79.0, 0.0, 0.0, 0.0, 38.0],
        "spots": [
            {
                "x": float(x), "y": float(y), "I": 100.5, "maxc": 40, "ice_ring": False, "indexed": True,
                "h": 1, "k": -2, "l": 3, "dist_ewald": 0.001, "lattice": 0,
            }
            for x, y in rng.uniform(0, 2000, (n_spots, 2))
        ],
        "data": {"default": pixels(bytes(payload_bytes), Codec.BSLZ4, np.int16, (2164, 2068))},
    }  # fmt: skip


def contestants(n_spots: int) -> dict[str, Callable[[], object]]:
    def reading(read: Callable[[memoryview], object], size: int) -> Callable[[], object]:
        # Writable, as the buffer of a received ZeroMQ frame is.
        message = memoryview(bytearray(encode(fields(size, n_spots))))
        return lambda: read(message)

    empty = encode(fields(0, n_spots))
    calls: dict[str, Callable[[], object]] = {REFERENCE: lambda: cbor2.loads(empty)}
    for text, size in SIZES.items():
        calls[f"parsed, {text}"] = reading(lambda data: read_item(data, LIMITS), size)
        calls[f"decoded, {text}"] = reading(lambda data: decode(data, LIMITS), size)
        calls[f"cbor2, {text}"] = reading(cbor2.loads, size)
    return calls


def measured(calls: dict[str, Callable[[], object]], n_rounds: int) -> tuple[list[Rounds], dict[str, int]]:
    """The repeats, and how often each contestant runs in a round."""
    n_calls = {}
    for name, call in calls.items():
        call()
        once = alternate({name: repeated(call, 5)}, 3).time_s(name).median / 5
        n_calls[name] = max(3, int(ROUND_S / once))
    loops = {name: repeated(call, n_calls[name]) for name, call in calls.items()}
    return [alternate(loops, n_rounds) for _ in range(N_REPEATS)], n_calls


def per_call(rounds: Rounds, n_calls: dict[str, int]) -> Rounds:
    return Rounds({name: [s / n_calls[name] for s in seconds] for name, seconds in rounds.seconds.items()})


def report(n_spots: int, n_rounds: int) -> None:
    repeats, n_calls = measured(contestants(n_spots), n_rounds)
    repeats = [per_call(rounds, n_calls) for rounds in repeats]
    print(f"\n{n_spots} spots: us per message, and times the reference")
    for name in repeats[0].seconds:
        time_us = spread([1e6 * s for rounds in repeats for s in rounds.seconds[name]])
        print(f"  {name:22} {time_us!s:28} {middle(repeats, REFERENCE, name)}")
    for kind in ("parsed", "decoded", "cbor2"):
        print(f"  {kind}: 8 MB over 1.5 MB  {middle(repeats, f'{kind}, 1.5 MB', f'{kind}, 8 MB')}")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spots", type=int, nargs="*", default=[0, 100, 1000], metavar="N")
    parser.add_argument("--rounds", type=int, default=9, metavar="N")
    arguments = parser.parse_args(argv)
    for n_spots in arguments.spots:
        report(n_spots, arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

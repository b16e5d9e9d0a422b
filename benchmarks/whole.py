"""What it costs to know that a run is whole: checksums, the status of each image, `jfwriter validate`.

    python -m benchmarks.whole [--rounds N]

`crc32` is the checksum of one chunk of 1.5 MB beside zlib's; `stored with crc32` are image chunks in a file
in memory beside the same without. `statuses` is the vector of a million images, made and written; `framing`
and `deep` are `jfwriter validate` on 4M images beside the reading of their bytes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np

from benchmarks._measure import N_ROUNDS, alternate, repeated, spread
from jfwriter.compression import compress
from jfwriter.compression.checksum import crc32
from jfwriter.hdf5.checksums import RowChecksums
from jfwriter.hdf5.image_dataset import ImageDataset, ImageFormat
from jfwriter.hdf5.image_statuses import ImageStatuses
from jfwriter.nexus.image_status import image_status
from jfwriter.payload import Codec, Payload
from jfwriter.session.image_status import NUMBER_OF
from jfwriter.session.ledger import Bits
from jfwriter.session.orders import FinishRun, Outcome
from jfwriter.validation.run import Options, check_run
from jfwriter.validation.target import find_runs

CHUNK_BYTES = 1_500_000
SHAPE = (2164, 2068)
N_IMAGES = 100
N_STATUSES = 1_000_000


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.whole", description=__doc__)
    parser.add_argument("--rounds", type=int, default=N_ROUNDS)
    rounds = parser.parse_args(argv).rounds
    _checksums(rounds)
    _stored(rounds)
    _statuses()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        _validate(Path(folder), rounds)
    return 0


def _checksums(n_rounds: int) -> None:
    chunk = memoryview(np.random.default_rng(1).bytes(CHUNK_BYTES))
    found = alternate(
        {"crc32": repeated(lambda: crc32(chunk), 40), "zlib": repeated(lambda: zlib.crc32(chunk), 40)},
        n_rounds,
    )
    ms = spread([seconds / 40 * 1e3 for seconds in found.seconds["crc32"]])
    print(f"crc32 of 1.5 MB: {ms} ms, {found.ratio('crc32', 'zlib')} times as fast as zlib")


def _image() -> Payload:
    pixels = np.random.default_rng(2).poisson(1.2, SHAPE).astype(np.int16)
    return Payload(memoryview(compress(pixels, Codec.BSLZ4)), Codec.BSLZ4, pixels.dtype, SHAPE)


def _stored(n_rounds: int) -> None:
    payload = _image()

    def store(checksums: Callable[[], RowChecksums | None]) -> Callable[[], None]:
        def run() -> None:
            with h5py.File("x.h5", "w", driver="core", backing_store=False) as file:
                images = ImageDataset(file, "data", ImageFormat.of(payload), checksums=checksums())
                for row in range(N_IMAGES):
                    images.write(row, payload)
                images.close()

        return run

    found = alternate({"with": store(RowChecksums), "without": store(lambda: None)}, n_rounds)
    ratio = found.ratio("with", "without")
    print(f"chunks of {len(payload.data) / 1e6:.1f} MB stored with crc32: {ratio} of the speed without")


def _statuses() -> None:
    bits = Bits()
    bits.add_rows(0, np.random.default_rng(3).random(N_STATUSES) < 0.99)
    missing = tuple((i, i) for i in np.flatnonzero(~bits.block(0, N_STATUSES)).tolist())
    statuses = ImageStatuses(N_STATUSES, bits, FinishRun(N_STATUSES, missing, None, Outcome.INCOMPLETE), (),
                             only_writer=True)  # fmt: skip
    began = time.perf_counter()
    statuses.counts()
    counted = time.perf_counter()
    with h5py.File("y.h5", "w", driver="core", backing_store=False) as file:
        image_status(file.create_group("d"), N_STATUSES, statuses.block, NUMBER_OF)
        n_bytes = file["d/detectorSpecific/image_status"].id.get_storage_size()
    written = time.perf_counter()
    print(
        f"a million statuses, 1 % missing: counted in {(counted - began) * 1e3:.0f} ms, written in "
        f"{(written - counted) * 1e3:.0f} ms to {n_bytes / 1e3:.0f} kB"
    )


def _validate(folder: Path, n_rounds: int) -> None:
    payload = _image()
    path = folder / "a_data_000001.h5"
    with h5py.File(path, "w", libver=("earliest", "v108")) as file:
        images = ImageDataset(file.create_group("entry/data"), "data", ImageFormat.of(payload))
        for row in range(N_IMAGES):
            images.write(row, payload)
        images.finish(N_IMAGES, fill_gaps=True)
        images.close()
    (target,) = find_runs(path)
    raw_bytes = N_IMAGES * payload.raw_bytes

    def check(*, deep: bool) -> Callable[[], None]:
        def run() -> None:
            assert check_run(target, Options(deep=deep)).n_problems == 0

        return run

    found = alternate(
        {"framing": check(deep=False), "deep": check(deep=True), "read": lambda: len(path.read_bytes())},
        n_rounds,
    )
    for name in ("framing", "deep"):
        ratio, speed = found.ratio(name, "read"), spread([raw_bytes / s / 1e9 for s in found.seconds[name]])
        print(f"validate, {name}: {ratio} of the speed of reading; {speed} GB/s of pixels")


if __name__ == "__main__":
    sys.exit(main())

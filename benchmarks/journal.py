"""What the journal costs: the daemon with it and without it, in the same rounds.

    python -m benchmarks.journal [--size 4M] [--directory DIR] [--rounds 8]

Both sync their files, as by default. The ratio is throughput with the journal to throughput without it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import _measure, _peers, _stream
from benchmarks.end_to_end import Cpu, Daemon, clear, running_daemon, whole

WITH, WITHOUT = "journal", "no journal"


def measure(directory: Path, options: argparse.Namespace) -> str:
    """The table of one directory."""
    size, n_images = _stream.SIZES[options.size], options.images
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jfwriter-", dir=directory)))
        sender = stack.enter_context(
            _peers.running(_peers.sender, size, n_images, options.images_per_file, 2)
        )
        addresses = sender.answer()
        assert isinstance(addresses, list)
        run_bytes = sender.answer()
        assert isinstance(run_bytes, int)
        daemons = {
            name: stack.enter_context(
                running_daemon(address, place / name.replace(" ", "-"), sync=True, journal=name == WITH)
            )
            for name, address in zip((WITH, WITHOUT), addresses, strict=True)
        }

        def run(daemon: Daemon, socket: int) -> Callable[[], None]:
            def once() -> None:
                sender.tell(socket)
                daemon.wait_for_run(n_images)

            return once

        cpu = {name: Cpu(daemon.pid, n_images) for name, daemon in daemons.items()}
        calls = {
            name: cpu[name].measured(run(daemon, socket))
            for socket, (name, daemon) in enumerate(daemons.items())
        }
        rounds = _measure.alternate(calls, options.rounds, lambda: clear(place, run_bytes))
    rows = [["", "images/s", f"ratio to {WITHOUT}", "CPU ms/image"]]
    for name in (WITHOUT, WITH):
        rate = whole(rounds.rate(name, n_images))
        rows.append([name, rate, str(rounds.ratio(name, WITHOUT)), str(cpu[name].per_image_ms())])
    head = f"{directory}: {n_images} images {options.size}, {run_bytes / n_images / 1e6:.2f} MB each"
    return f"{head}\n{_measure.table(rows)}\n"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=_stream.SIZES, default="4M")
    parser.add_argument("--images", type=int, default=500, metavar="N", help="images per run (500)")
    parser.add_argument("--images-per-file", type=int, default=1000, metavar="N")
    parser.add_argument("--directory", type=Path, default=Path.cwd())
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args(arguments)
    print(measure(options.directory.resolve(), options), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

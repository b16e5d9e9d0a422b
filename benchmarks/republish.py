"""What republishing costs: off, on without a reader, and on with one, against a loop that also sends on.

python -m benchmarks.republish [--size 4M] [--directory DIR] [--quick]
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import zmq

from benchmarks import _options
from benchmarks._contest import Contest, Contestant
from jfwriter.bench.bare_loop import Loop
from jfwriter.bench.peers import running
from jfwriter.bench.stage import Stage

PLAIN = "[files]\nsync = false\n"
ON = PLAIN + '[republish]\nport = 0\nhost = "127.0.0.1"\n'
WRITERS = {"off": PLAIN, "nobody": ON, "reader": ON}
LOOP, RESENDS = "bare loop", "bare loop, sends on"
OFF, NOBODY, READER = "daemon", "daemon, republishes to nobody", "daemon, republishes to a reader"


def reader(pipe: Connection, address: str) -> None:
    """Takes everything and throws it away; answers each word with the number of messages so far."""
    socket = zmq.Context().socket(zmq.PULL)
    socket.rcvhwm = 1000
    socket.connect(address)
    n_messages = 0
    pipe.send("ready")
    while True:
        if socket.poll(50):
            socket.recv(copy=False)
            n_messages += 1
        elif pipe.poll():
            pipe.recv()
            pipe.send(n_messages)


def endpoint(stage: Stage, name: str) -> str:
    republish = stage.writers[name].status()["republish"]
    assert isinstance(republish, dict)
    return str(republish["endpoint"])


def measure(place: Path, options: argparse.Namespace) -> str:
    n_images = options.images
    with Stage(place, _options.run_maker(options.size), WRITERS) as stage:
        addresses = stage.onward, endpoint(stage, "reader")
        with running(reader, addresses[0]) as loop_reader, running(reader, addresses[1]) as writer_reader:
            loop_reader.answer()
            writer_reader.answer()
            contestants = {
                LOOP: Contestant(functools.partial(stage.loop, n_images, Loop()), [stage.bare.pid], None),
                RESENDS: Contestant(
                    functools.partial(stage.loop, n_images, Loop(resend=True)), [stage.bare.pid], LOOP
                ),
            }
            for name, writer, reference in (
                (OFF, "off", LOOP), (NOBODY, "nobody", OFF), (READER, "reader", RESENDS)
            ):  # fmt: skip
                call = functools.partial(stage.write, writer, n_images)
                contestants[name] = Contestant(call, [stage.writers[writer].pid], reference)
            n_bytes = round(n_images * stage.message_bytes)
            table = Contest(contestants, options, lambda: stage.clear(n_bytes)).table(stage.message_bytes)
            taken, republish = writer_reader.ask("?"), stage.writers["reader"].status()["republish"]
            assert isinstance(republish, dict)
            return (
                f"{table}\nthe reader took {taken} messages, {republish['not_republished']} were not sent on"
            )


def main(arguments: Sequence[str]) -> int:
    options = _options.parse(_options.parser(__doc__), arguments)
    _options.in_each(options, lambda place: measure(place, options))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

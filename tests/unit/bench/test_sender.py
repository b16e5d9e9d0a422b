"""The sender of the measurements: what it sends again and again arrives as it was meant."""

from __future__ import annotations

from typing import cast

import zmq

from jfwriter.bench.peers import Peer, running
from jfwriter.bench.sender import WATERMARK, Making, Ready, Request, Sent, sender
from jfwriter.bench.stream import Size, run_options
from jfwriter.settings import LimitSettings
from jfwriter.simulator import SimulatedRun
from jfwriter.simulator.run import Progress
from jfwriter.wire.decode import decode
from jfwriter.wire.messages import EndMessage, ImageMessage, StartMessage

N_DISTINCT = 8  # a divisor of the number of buffers: the image tells its payload


def small_run(progress: Progress) -> SimulatedRun:
    return SimulatedRun(run_options(Size("64x48", "int16", N_DISTINCT)), None, progress)


def ready(peer: Peer) -> Ready:
    while isinstance(said := peer.answer(), Making):
        pass
    return cast("Ready", said)


def received(socket: zmq.Socket[bytes]) -> object:
    return decode(memoryview(socket.recv()), LimitSettings())


def test_a_receiver_that_lags_behind_gets_each_image_as_it_was_sent() -> None:
    """It takes them more slowly than they are sent, so that as many as possible wait in their buffers."""
    context = zmq.Context()
    payloads = [small_run(lambda _done, _all: None).payload(number) for number in range(N_DISTINCT)]
    with running(sender, small_run, 1) as peer, context.socket(zmq.PULL) as socket:
        socket.rcvhwm, socket.rcvbuf, socket.rcvtimeo, socket.linger = 1, 1 << 15, 60_000, 0
        socket.connect(ready(peer).addresses[0])
        for n_images in (12 * WATERMARK, 30):
            peer.tell(Request(0, n_images, images_per_file=10))
            start = received(socket)
            assert isinstance(start, StartMessage)
            assert (start.number_of_images, start.images_per_file) == (n_images, 10)
            for image_id in range(n_images):
                image = received(socket)
                assert isinstance(image, ImageMessage)
                assert (image.image_id, image.original_image_id) == (image_id, image_id)
                assert bytes(image.channels["default"].data) == payloads[image_id % N_DISTINCT]
            assert isinstance(received(socket), EndMessage)
            assert isinstance(peer.answer(), Sent)
    context.term()

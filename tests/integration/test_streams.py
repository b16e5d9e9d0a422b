"""The daemon between a real sender and real consumers: republished bytes, announcements, HTTP, faults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest
import zmq

from jfwriter.session.plan import N_WRITERS_UNKNOWN
from tests.support import hostile, stream
from tests.support.daemon import wait_for
from tests.support.patched import patched, waits_for
from tests.support.plain_dcu import PlainDcu, encode
from tests.support.service import Service

Socket = zmq.Socket[bytes]
PROBE = b"no message of the stream"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.fixture
def context() -> Iterator[zmq.Context[Socket]]:
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


@pytest.fixture
def dcu() -> Iterator[PlainDcu]:
    with PlainDcu() as dcu:
        yield dcu


@pytest.fixture
def service(root: Path, dcu: PlainDcu) -> Iterator[Service]:
    """With all sockets; must end in good order after whatever the test did."""
    config = root.parent / "service.toml"
    config.write_text("[announce]\nannounce_run_end = true\n")
    with Service(root, "-H0", "-r0", "-f0", f"--config={config}", dcu.address) as service:
        yield service.wait_until_ready()
        assert service.end() == 0
        assert "Traceback" not in service.log


def connected(context: zmq.Context[Socket], kind: zmq.SocketType, address: str) -> Socket:
    socket = context.socket(kind)
    socket.linger = 0
    socket.rcvtimeo = 30_000
    if kind == zmq.SUB:
        socket.subscribe(b"")
    socket.connect(address)
    return socket


def images_of(root: Path, name: str, per_file: int = 4) -> dict[int, Any]:
    found = {}
    for path in sorted(root.glob(f"{name}_data_*.h5")):
        first = per_file * (int(path.stem[-6:]) - 1)
        with h5py.File(path) as file:
            found.update({first + row: image for row, image in enumerate(file["/entry/data/data"][()])})
    return found


def assert_whole(root: Path, name: str, n_images: int) -> None:
    found = images_of(root, name)
    assert sorted(found) == list(range(n_images))
    for number, image in found.items():
        np.testing.assert_array_equal(image, stream.pixels(number))


def test_republished_bytes_are_those_received(
    service: Service, dcu: PlainDcu, context: zmq.Context[Socket]
) -> None:
    with connected(context, zmq.PULL, service.endpoint("republishing")) as consumer:
        sent = [
            stream.start(n_images=6),
            b"not CBOR at all",
            *(stream.image_message(i) for i in range(6)),
            encode({"type": "metadata", "series_id": 1, "images": [{"image_id": 0}]}),
            encode({"type": "from the future", "x": 1}),
            stream.end(n_images=6),
            stream.start(2, user_data={"file_prefix": "../refused"}),
            stream.image_message(0, 2),
            stream.end(2, 1),
        ]
        # An image is offered once: the consumer has to be there before the first message.
        while not consumer.poll(100):
            dcu.send([PROBE])
        dcu.send(sent)
        received: list[bytes] = []
        while not received or received[-1] != sent[-1]:
            received += [message for message in [consumer.recv()] if message != PROBE]
    assert received == sent
    service.wait_for_status(state="idle")
    assert_whole(service.root, "run1", 6)


@pytest.mark.parametrize("consumer", ["absent", "stalled"])
def test_a_consumer_that_does_not_read_changes_nothing(
    service: Service, dcu: PlainDcu, context: zmq.Context[Socket], consumer: str
) -> None:
    n_images = 1500
    if consumer == "stalled":
        stalled = context.socket(zmq.PULL)
        stalled.linger = 0
        stalled.rcvhwm = 1
        stalled.connect(service.endpoint("republishing"))
    images = {i: stream.image_message(i) for i in range(n_images)}
    dcu.send([stream.start(n_images=n_images, user_data={"images_per_file": 0})])
    dcu.send(images.values())
    dcu.send([stream.end(n_images=n_images)])
    status = service.wait_for_status(state="idle", nimages=n_images)
    assert status["last_run"]["outcome"] == "complete"
    with h5py.File(service.root / "run1_data_000001.h5") as file:
        assert len(file["/entry/data/data"]) == n_images
    wait_for(lambda: service.status["republish"]["waiting_bytes"] == 0)
    republish = service.status["republish"]
    assert republish["sent"] + republish["not_republished"] == n_images + 2
    if consumer == "absent":
        assert republish["sent"] == 0
    else:
        stalled.close()


def test_announcements_come_after_the_rename(
    service: Service, dcu: PlainDcu, context: zmq.Context[Socket]
) -> None:
    user = {"user": '{"sample": [1, 2]}', "run_name": "lyso", "run_number": 5}
    with connected(context, zmq.SUB, service.endpoint("announcements")) as subscriber:
        # A subscriber that has just connected misses what is announced before its subscription arrives.
        probes = 0
        while not subscriber.poll(100):
            probes += 1
            dcu.send(stream.run(100 + probes, n_images=1, user_data={"file_format": 0}))
        dcu.send(stream.run(n_images=10, user_data=user))
        announced: list[dict[str, Any]] = []
        while not announced or announced[-1].get("run_name") != "lyso" or "event" not in announced[-1]:
            announced.append(json.loads(subscriber.recv()))
            if "filename" in announced[-1]:
                with h5py.File(service.root / announced[-1]["filename"]) as file:
                    assert len(file["/entry/data/data"]) == announced[-1]["nimages"]
    own = [message for message in announced if message["run_name"] == "lyso"]
    assert [message.get("filename") for message in own] == [
        "run1_data_000001.h5", "run1_data_000002.h5", "run1_data_000003.h5", None,
    ]  # fmt: skip
    assert [message.get("nimages") for message in own] == [4, 4, 2, 10]
    assert [message.get("file_number") for message in own] == [0, 1, 2, None]
    assert own[0]["user_data"] == {"sample": [1, 2]}
    assert own[-1]["outcome"] == "complete"
    assert own[-1]["files"][-1] == "run1_master.h5"
    assert (service.root / "run1_master.h5").exists()


def test_status_of_a_run(service: Service, dcu: PlainDcu) -> None:
    assert service.status["state"] == "idle"
    wait_for(lambda: service.status["inputs"][0]["connected"])
    whole = stream.run(9, n_images=10, user_data={"socket_number": 0})
    dcu.send(whole[:6])
    status = service.wait_for_status(nimages=5)
    assert status["state"] == "writing"
    assert (status["file_prefix"], status["run_name"], status["run_number"]) == ("run9", "series 9", 9)
    assert (status["images_expected"], status["images_received"], status["files_closed"]) == (10, 5, 1)
    assert status["last_files"] == ["run9_data_000001.h5"]
    assert status["warnings"] == [N_WRITERS_UNKNOWN]
    dcu.send([stream.image_message(0, 9), *whole[6:]])
    status = service.wait_for_status(state="idle")
    assert status["images_dropped"] == {"duplicate": 1}
    assert status["last_run"]["outcome"] == "complete"
    assert status["totals"]["runs"] == {"complete": 1}
    assert_whole(service.root, "run9", 10)


def test_cancel(service: Service, dcu: PlainDcu) -> None:
    assert service.get("cancel", "POST")[0] == 409
    assert service.get("cancel")[0] == 405
    whole = stream.run(n_images=10)
    dcu.send(whole[:6])
    service.wait_for_status(nimages=5)
    code, result = service.get("cancel", "POST")
    assert (code, result["outcome"], result["images_written"]) == (200, "cancelled", 5)
    assert result["files"] == ["run1_data_000001.h5", "run1_data_000002.h5", "run1_master.h5"]
    dcu.send(whole[6:])
    service.wait_for_status(state="idle", images_dropped={"after_end": 5})
    assert sorted(images_of(service.root, "run1")) == [0, 1, 2, 3, 4]
    dcu.send(stream.run(2, n_images=3))
    service.wait_for_status(state="idle", nimages=3)
    assert_whole(service.root, "run2", 3)


def test_a_sender_that_restarts_is_heard_again(root: Path, context: zmq.Context[Socket]) -> None:
    push = context.socket(zmq.PUSH)
    push.linger = 20_000
    port = push.bind_to_random_port("tcp://127.0.0.1")
    with Service(root, "-H0", f"tcp://127.0.0.1:{port}") as service:
        service.wait_until_ready()
        for message in stream.run(1, n_images=3)[:3]:
            push.send(message)
        service.wait_for_status(nimages=2)
        push.close()
        wait_for(lambda: not service.status["inputs"][0]["connected"])
        push = context.socket(zmq.PUSH)
        push.linger = 20_000
        push.bind(f"tcp://127.0.0.1:{port}")
        for message in stream.run(2, n_images=3):
            push.send(message)
        service.wait_for_status(state="idle", nimages=3)
        push.close()
        assert service.end() == 0
    assert "lost the connection" in service.log
    assert sorted(images_of(root, "run1")) == [0, 1]
    assert_whole(root, "run2", 3)


def test_two_senders(root: Path) -> None:
    with PlainDcu() as one, PlainDcu() as two, Service(root, "-H0", one.address, two.address) as service:
        service.wait_until_ready()
        one.send([stream.start(n_images=10)])
        service.wait_for_status(state="writing")
        one.send([stream.image_message(i) for i in range(0, 10, 2)])
        two.send([stream.image_message(i) for i in range(1, 10, 2)])
        service.wait_for_status(nimages=10)
        two.send([stream.end(n_images=10)])
        service.wait_for_status(state="idle")
        assert service.end() == 0
    assert_whole(root, "run1", 10)


def test_the_sender_is_notified(service: Service, dcu: PlainDcu, context: zmq.Context[Socket]) -> None:
    with context.socket(zmq.PULL) as pull:
        pull.linger = 0
        pull.rcvtimeo = 30_000
        port = pull.bind_to_random_port("tcp://127.0.0.1")
        user = {
            "writer_notification_zmq_addr": f"tcp://127.0.0.1:{port}",
            "socket_number": 1,
            "run_number": 4,
        }
        dcu.send(stream.run(n_images=3, user_data=user))
        told = json.loads(pull.recv())
        assert told.pop("ok") in {True, False}
        assert told == {"socket_number": 1, "run_name": "series 1", "run_number": 4, "processed_images": 3}
        bad = {"writer_notification_zmq_addr": "file:///etc/passwd"}
        dcu.send(stream.run(2, n_images=3, user_data=bad))
        service.wait_for_status(notifications={"sent": 1, "failed": 1})


def test_a_hostile_stream_changes_nothing_for_the_runs_beside_it(service: Service, dcu: PlainDcu) -> None:
    whole = stream.run(1, n_images=8)
    hostile_images = [data for name, data in hostile.INSANE if "start" not in name][::40]
    dcu.send([whole[0]])
    for message in whole[1:-1]:
        dcu.send([*(data for _, data in hostile.MALFORMED), message, *hostile_images])
    dcu.send([whole[-1]])
    wait_for(lambda: service.status["totals"]["runs"] != {})
    dcu.send(stream.run(2, n_images=4))
    wait_for((service.root / "run2_master.h5").exists)
    assert_whole(service.root, "run2", 4)
    assert service.status["totals"]["bad_messages"]
    assert not list(service.root.glob("**/*.tmp"))
    assert {path.parent for path in service.root.glob("**/*.h5")} == {service.root}


def test_an_oversized_message_does_not_make_the_writer_deaf(root: Path, dcu: PlainDcu) -> None:
    config = root.parent / "small.toml"
    config.write_text("[limits]\nmax_message_bytes = 100_000\n")
    with Service(root, "-H0", f"--config={config}", dcu.address) as service:
        service.wait_until_ready()
        dcu.send(stream.run(1, n_images=2))
        service.wait_for_status(state="idle", nimages=2)
        dcu.send([bytes(200_000)])
        wait_for(lambda: service.status["inputs"][0]["broken_connections"] == 1)
        wait_for(lambda: service.status["inputs"][0]["connected"])
        dcu.send(stream.run(2, n_images=3))
        service.wait_for_status(state="idle", nimages=3)
        assert service.end() == 0
    assert_whole(root, "run2", 3)


def test_a_run_that_stands_there_is_refused_and_untouched(service: Service, dcu: PlainDcu) -> None:
    dcu.send(stream.run(1, n_images=3))
    service.wait_for_status(state="idle", nimages=3)
    before = {path: path.read_bytes() for path in service.root.iterdir()}
    again = [stream.start(2, n_images=3, user_data={"file_prefix": "run1"})]
    dcu.send([*again, *(stream.image_message(i, 2) for i in range(3)), stream.end(2, 3)])
    wait_for(lambda: service.status["totals"]["runs"] == {"complete": 1, "failed": 1})
    last = service.status["last_run"]
    assert "run1" in last["reasons"][0]
    assert str(service.root) not in json.dumps(service.status)
    assert {path: path.read_bytes() for path in service.root.iterdir()} == before
    assert service.get("health")[0] == 200


def test_metrics_and_page(service: Service) -> None:
    import urllib.request

    for path, text in (("metrics", "jfwriter_queue_bytes"), ("", "<!DOCTYPE html>")):
        with urllib.request.urlopen(service.endpoint("HTTP") + path, timeout=30) as reply:
            assert text in reply.read().decode()


def test_storage_that_fails_costs_one_run(root: Path, dcu: PlainDcu) -> None:
    """The run drains: the sender is never held up, everything is sent on, and the next run is written."""
    n_images = 400
    with Service(root, "-H0", "-r0", dcu.address, max_file_bytes=100_000) as service:
        service.wait_until_ready()
        raw = stream.raw_run(1, n_images)
        dcu.send(raw[:-1])
        status = service.wait_for_status(state="draining", images_received=n_images)
        wait_for(lambda: service.status["images_dropped"].get("run_failed", 0) > 0)
        assert any("cannot be written" in text for text in status["warnings"])
        code, health = service.get("health")
        assert (code, health["error"]) == (503, "unhealthy")
        dcu.send(raw[-1:])
        last = service.wait_for_status(state="idle")["last_run"]
        assert last["outcome"] == "failed"
        assert any("too large" in reason.lower() for reason in last["reasons"])
        assert last["images_written"] + last["images_missing"] == n_images
        assert last["images_received"] == n_images
        assert last["images_dropped"] == {"run_failed": n_images - last["images_written"]}
        assert service.status["totals"]["runs_failed"].keys() == {"file_too_large"}
        wait_for(lambda: service.status["republish"]["not_republished"] == n_images + 2)
        assert service.get("health")[0] == 200
        dcu.send(stream.run(2, n_images=3))
        service.wait_for_status(state="idle", nimages=3)
        assert service.end() == 0
    assert_whole(root, "run2", 3)
    assert str(root) not in json.dumps(last)


def test_storage_that_stalls_loses_nothing(root: Path, dcu: PlainDcu) -> None:
    """The budget fills, receiving stops, HTTP answers; when the storage is back all images are written."""
    release = root.parent / "release"
    config = root.parent / "small.toml"
    config.write_text("[memory]\nbyte_budget_bytes = 1_048_576\n[input]\nwatermark_messages = 10\n")
    path = patched(root.parent, waits_for(release))
    n_images = 2000
    with Service(root, "-H0", f"--config={config}", dcu.address, environment={"PYTHONPATH": path}) as service:
        service.wait_until_ready()
        images = [stream.image_message(i) for i in range(n_images)]
        dcu.send([stream.start(n_images=n_images, user_data={"images_per_file": 0}), *images[:300]])
        status = service.wait_for_status(receiving_paused=True)
        assert status["queue_bytes"] <= (1 << 20) + 10_000
        assert status["oldest_image_age_s"] > 0
        assert service.get("health")[0] == 200
        release.touch()
        dcu.send([*images[300:], stream.end(n_images=n_images)])
        status = service.wait_for_status(state="idle", nimages=n_images)
        assert status["totals"]["receiving_pauses"] >= 1
        assert status["last_run"]["outcome"] == "complete"
        assert service.end() == 0
    with h5py.File(root / "run1_data_000001.h5") as file:
        data = file["/entry/data/data"]
        assert len(data) == n_images
        np.testing.assert_array_equal(data[n_images - 1], stream.pixels(n_images - 1))


def test_many_short_runs(service: Service, dcu: PlainDcu) -> None:
    n_runs = 200
    wait_for(lambda: service.status["inputs"][0]["connected"])
    dcu.send(stream.run(0, n_images=1))
    service.wait_for_status(state="idle", nimages=1)
    process = Path(f"/proc/{service.process.pid}")
    before = {name: len(list((process / name).iterdir())) for name in ("fd", "task")}
    for i in range(1, n_runs):
        dcu.send(stream.run(i, n_images=1))
    wait_for(lambda: service.status["totals"]["runs"] == {"complete": n_runs})
    assert len(list(service.root.glob("*_master.h5"))) == n_runs
    assert service.status["queue_bytes"] == 0
    wait_for(lambda: all(len(list((process / name).iterdir())) <= n for name, n in before.items()))

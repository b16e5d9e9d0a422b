"""The life of the process: start, readiness, signals, exit statuses."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest
import zmq

from tests.support import stream
from tests.support.daemon import DEADLINE_S, wait_for
from tests.support.patched import RAISES, WAITS_FOR_EVER, patched
from tests.support.plain_dcu import PlainDcu
from tests.support.service import Service


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.fixture
def dcu() -> Iterator[PlainDcu]:
    with PlainDcu() as dcu:
        yield dcu


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_idle_daemon_ends_in_good_order(root: Path, dcu: PlainDcu, number: signal.Signals) -> None:
    with Service(root, "-H0", "-r0", "-f0", dcu.address) as service:
        service.wait_until_ready()
        assert service.end(number) == 0
    assert "Traceback" not in service.log
    assert list(root.iterdir()) == []


def test_a_signal_in_a_run_finishes_its_files(root: Path, dcu: PlainDcu) -> None:
    with Service(root, "-H0", dcu.address) as service:
        service.wait_until_ready()
        dcu.send(stream.run(n_images=10)[:7])
        service.wait_for_status(nimages=6)
        assert service.end() == 0
    assert sorted(path.name for path in root.iterdir()) == [
        "run1_data_000001.h5", "run1_data_000002.h5", "run1_master.h5",
    ]  # fmt: skip
    with h5py.File(root / "run1_data_000002.h5") as file:
        np.testing.assert_array_equal(file["/entry/data/data"][1], stream.pixels(5))
    assert "incomplete: 6 of 6 images" in service.log
    assert "the writer was stopped" in service.log


def test_what_was_received_before_the_signal_is_written(root: Path, dcu: PlainDcu) -> None:
    """Also what only ZeroMQ has received: the daemon is stopped while it arrives."""
    with Service(root, "-H0", dcu.address) as service:
        service.wait_until_ready()
        dcu.send([stream.start(n_images=50)])
        service.wait_for_status(state="writing")
        service.process.send_signal(signal.SIGSTOP)
        dcu.send([stream.image_message(i) for i in range(40)])
        service.process.send_signal(signal.SIGTERM)
        service.process.send_signal(signal.SIGCONT)
        assert service.code() == 0
    written = int(service.log.split("incomplete: ")[1].split(" of")[0])
    # What had not yet left the sender, or was on the way, need not be there; what is there has no hole.
    with h5py.File(root / "run1_master.h5") as file:
        assert file["/entry/instrument/detector/detectorSpecific/nimages"][()] == written
    assert "missing" not in service.log.split("incomplete: ")[1].split("planned")[0]


def test_no_address_is_wrong_usage(root: Path) -> None:
    with Service(root) as service:
        assert service.code() == 2
    assert "no address to receive from" in service.log


def test_an_impossible_address_is_an_endpoint_error(root: Path) -> None:
    with Service(root, "tcp://no-port") as service:
        assert service.code() == 74
    assert "input address 'tcp://no-port'" in service.log
    assert "Traceback" not in service.log


def test_a_root_that_is_not_there(root: Path, dcu: PlainDcu) -> None:
    with Service(root / "none", dcu.address) as service:
        assert service.code() == 74
    assert "is not there" in service.log


def test_wrong_settings(root: Path, dcu: PlainDcu) -> None:
    config = root / "wrong.toml"
    config.write_text("[http]\nport = 'x'\n")
    with Service(root, f"--config={config}", dcu.address) as service:
        assert service.code() == 78
    assert "line 2: http.port" in service.log


@pytest.mark.parametrize("option", ["-H", "-r", "-f"])
def test_a_port_that_is_taken(root: Path, dcu: PlainDcu, option: str) -> None:
    with socket.create_server(("0.0.0.0", 0)) as other:
        port = other.getsockname()[1]
        with Service(root, "-H0", "-r0", "-f0", option, str(port), dcu.address) as service:
            assert service.code() == 74
    assert f"{port}" in service.log
    assert "choose another port" in service.log
    assert "Traceback" not in service.log


def test_a_second_signal_ends_it_at_once(root: Path, dcu: PlainDcu) -> None:
    environment = {"PYTHONPATH": patched(root.parent, WAITS_FOR_EVER)}
    with (
        zmq.Context() as context,
        context.socket(zmq.PULL) as listener,
        Service(root, "-H0", dcu.address, environment=environment) as service,
    ):
        service.wait_until_ready()
        address = f"tcp://127.0.0.1:{listener.bind_to_random_port('tcp://127.0.0.1')}"
        dcu.send(stream.run(n_images=8, user_data={"writer_notification_zmq_addr": address}))
        service.wait_for_status(images_received=8, state="finalizing")
        service.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "bringing to disk" in service.log)
        assert service.end() == 1
        assert listener.poll(DEADLINE_S * 1000)
        assert listener.recv_json()["ok"] is False
    assert "leaving at once" in service.log
    assert not (root / "run1_master.h5").exists()


def test_storage_that_never_answers_does_not_keep_the_process(root: Path, dcu: PlainDcu) -> None:
    config = root.parent / "short.toml"
    config.write_text("[service]\nshutdown_deadline_s = 0.5\n")
    path = patched(root.parent, WAITS_FOR_EVER)
    with Service(root, "-H0", f"--config={config}", dcu.address, environment={"PYTHONPATH": path}) as service:
        service.wait_until_ready()
        dcu.send(stream.run(n_images=8))
        service.wait_for_status(images_received=8, state="finalizing")
        assert service.end() == 1
    assert "not everything was on disk after 0.5 s" in service.log


def test_a_bug_in_the_writer_thread_ends_the_process(root: Path, dcu: PlainDcu) -> None:
    """Never a living process with a dead writer."""
    with Service(
        root, "-H0", dcu.address, environment={"PYTHONPATH": patched(root.parent, RAISES)}
    ) as service:
        service.wait_until_ready()
        dcu.send(stream.run(n_images=8))
        assert service.code() == 1
    assert "the writer thread has died: ZeroDivisionError" in service.log
    assert "Traceback" in service.log
    assert not list(root.glob("*.h5"))


class Manager:
    """The service manager's end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(DEADLINE_S)
        self.told: list[str] = []

    def wait_for(self, text: str) -> None:
        while not any(text in told for told in self.told):
            self.told.append(self._socket.recv(4096).decode())

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def test_what_the_service_manager_is_told(root: Path, dcu: PlainDcu) -> None:
    with Manager(root.parent / "notify") as manager:
        environment = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "1000000"}
        with Service(root, "-H0", dcu.address, environment=environment) as service:
            manager.wait_for(f"READY=1\nMAINPID={service.process.pid}")
            assert service.get("health")[0] == 200
            manager.wait_for("WATCHDOG=1")
            dcu.send(stream.run(n_images=10)[:3])
            manager.wait_for("STATUS=writing run series 1: 2 of 10 images")
            for _ in range(3):
                manager.told.clear()
                manager.wait_for("WATCHDOG=1")
            service.process.send_signal(signal.SIGTERM)
            manager.wait_for("STOPPING=1")
            assert service.code() == 0


def test_under_the_journal_lines_have_priorities_and_no_time(root: Path, dcu: PlainDcu) -> None:
    log = root.parent / "root.log"
    log.touch()
    status = log.stat()
    journal = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
    with Service(root, dcu.address, environment=journal) as service:
        wait_for(lambda: "<6>ready" in service.log)
        assert service.end() == 0
    assert all(line.startswith("<6>") for line in service.log.splitlines())

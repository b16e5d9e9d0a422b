"""sd_notify(3) as the manager sees it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from jfwriter.daemon.systemd import ServiceManager


@pytest.fixture(params=["path", "abstract"])
def manager_socket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@jfwriter-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name[1:] if name.startswith("@") else name)
        receiver.settimeout(5)
        yield name, receiver


def test_what_is_told(manager_socket: tuple[str, socket.socket]) -> None:
    name, receiver = manager_socket
    manager = ServiceManager({"NOTIFY_SOCKET": name})
    manager.ready()
    assert receiver.recv(1000) == f"READY=1\nMAINPID={os.getpid()}".encode()
    manager.status("writing")
    manager.status("writing")
    manager.alive()
    manager.stopping()
    assert [receiver.recv(1000) for _ in range(3)] == [b"STATUS=writing", b"WATCHDOG=1", b"STOPPING=1"]
    manager.close()


def test_without_a_manager_nothing_happens(tmp_path: Path) -> None:
    for environ in ({}, {"NOTIFY_SOCKET": "vsock:2:1"}, {"NOTIFY_SOCKET": str(tmp_path / "nobody")}):
        manager = ServiceManager(environ)
        manager.ready()
        manager.status("x")
        manager.close()


def test_a_manager_that_does_not_read_stops_nobody(manager_socket: tuple[str, socket.socket]) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": manager_socket[0]})
    for i in range(5000):
        manager.status(f"status {i}")
    manager.close()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_time_is_that_of_this_process(environ: dict[str, str], seconds: float | None) -> None:
    assert ServiceManager(environ).watchdog_s == seconds


def test_a_status_is_one_assignment(manager_socket: tuple[str, socket.socket]) -> None:
    """The name of a run comes from the sender; a line end in it would begin another assignment."""
    name, receiver = manager_socket
    manager = ServiceManager({"NOTIFY_SOCKET": name})
    manager.status("writing run x\nWATCHDOG=trigger\nMAINPID=1")
    assert receiver.recv(1000) == rb"STATUS=writing run x\nWATCHDOG=trigger\nMAINPID=1"
    manager.close()

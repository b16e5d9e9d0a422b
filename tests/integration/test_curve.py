"""Encrypted sockets as their users meet them: the real daemon, clients with the right and the wrong key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from jfwriter import cli
from tests.support import stream
from tests.support.daemon import DEADLINE_S, wait_for
from tests.support.plain_dcu import PlainDcu
from tests.support.service import Service


class Keys:
    def __init__(self) -> None:
        self.public, self.secret = zmq.curve_keypair()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


class Clients:
    """Sockets of programs that want the writer's messages."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self._sockets: list[zmq.Socket[bytes]] = []

    def connect(
        self, kind: int, address: str, keys: Keys | None = None, server: bytes | None = None
    ) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        self._sockets.append(socket)
        if server is not None and keys is not None:
            socket.curve_serverkey = server
            socket.curve_publickey, socket.curve_secretkey = keys.public, keys.secret
        if kind == zmq.SUB:
            socket.subscribe(b"")
        socket.connect(address)
        return socket

    def close(self) -> None:
        for socket in self._sockets:
            socket.close(0)
        self._context.term()


@pytest.fixture
def clients() -> Iterator[Clients]:
    clients = Clients()
    yield clients
    clients.close()


def own_keys(path: Path, capsys: pytest.CaptureFixture[str]) -> bytes:
    """Made as the documentation says; the public key that it prints."""
    assert cli.main(["keys", "curve", str(path)]) == 0
    found = re.search(r"public key: (\S+)", capsys.readouterr().out)
    assert found
    return found[1].encode()


def metric(service: Service, line: str) -> float:
    import urllib.request

    with urllib.request.urlopen(service.endpoint("HTTP") + "metrics", timeout=DEADLINE_S) as reply:
        found = re.search(rf"^{re.escape(line)} (\S+)$", reply.read().decode(), re.MULTILINE)
    assert found, line
    return float(found[1])


@pytest.mark.parametrize("listed", [True, False], ids=["listed keys", "any that knows the writer's"])
def test_only_who_has_the_right_key_gets_messages(
    root: Path, clients: Clients, capsys: pytest.CaptureFixture[str], listed: bool
) -> None:
    server = own_keys(root.parent / "writer.key", capsys)
    friend, stranger = Keys(), Keys()
    config = root.parent / "writer.toml"
    allowed = f'allowed_keys = ["{friend.public.decode()}"]' if listed else ""
    config.write_text(
        f'[curve]\nsecret_key_file = "{root.parent / "writer.key"}"\n{allowed}\n'
        "[republish]\nport = 0\ncurve = true\n[announce]\nport = 0\ncurve = true\n[http]\nport = 0\n"
    )
    with PlainDcu() as dcu, Service(root, f"--config={config}", dcu.address) as service:
        service.wait_until_ready()
        republish, announce = service.endpoint("republishing"), service.endpoint("announcements")
        wrong_key = Keys().public
        outside = [
            clients.connect(zmq.PULL, republish),
            clients.connect(zmq.PULL, republish, friend, wrong_key),
            clients.connect(zmq.SUB, announce),
            clients.connect(zmq.SUB, announce, friend, wrong_key),
        ]
        if listed:
            outside.append(clients.connect(zmq.PULL, republish, stranger, server))
            outside.append(clients.connect(zmq.SUB, announce, stranger, server))
        # Each of them has been refused at least once: those without CURVE do not try again.
        n_each = len(outside) // 2
        wait_for(lambda: service.status["republish"]["refused_connections"] >= n_each)
        wait_for(lambda: service.status["announcements"]["refused_connections"] >= n_each)
        puller = clients.connect(zmq.PULL, republish, friend, server)
        subscriber = clients.connect(zmq.SUB, announce, friend, server)
        messages = stream.run(n_images=8)
        # A subscription takes a moment longer than a connection: announcements come until it stands.
        dcu.send(messages[:1])
        got = [puller.recv()] if puller.poll(DEADLINE_S * 1000) else []
        dcu.send(messages[1:])
        while len(got) < len(messages):
            assert puller.poll(DEADLINE_S * 1000)
            got.append(puller.recv())
        assert got == messages
        assert subscriber.poll(DEADLINE_S * 1000)
        assert json.loads(subscriber.recv())["filename"].startswith("run1_data_00000")
        service.wait_for_status(state="idle")
        assert not any(socket.poll(0) for socket in outside)
        assert service.status["last_run"]["outcome"] == "complete"
        assert metric(service, 'jfwriter_refused_connections_total{socket="republish"}') >= n_each
        assert metric(service, 'jfwriter_refused_connections_total{socket="announce"}') >= n_each
        assert service.end() == 0
    assert service.log.count("republishing: somebody without the right key was not let in") == 1
    assert "Traceback" not in service.log


class CurveDcu(PlainDcu):
    """A sender whose socket is a CURVE server."""

    def __init__(self, keys: Keys) -> None:
        super().__init__()
        self._socket.close()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.SNDTIMEO, 20_000)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.curve_server = 1
        self._socket.curve_secretkey = keys.secret
        self.address = f"tcp://127.0.0.1:{self._socket.bind_to_random_port('tcp://127.0.0.1')}"


def test_a_sender_that_shows_the_right_key(root: Path) -> None:
    keys = Keys()
    config = root.parent / "writer.toml"
    config.write_text(f'[input]\ncurve_server_keys = ["{keys.public.decode()}"]\n')
    with CurveDcu(keys) as dcu, Service(root, "-H0", f"--config={config}", dcu.address) as service:
        service.wait_until_ready()
        dcu.send(stream.run(n_images=8))
        status = service.wait_for_status(state="idle", nimages=8)
        assert status["last_run"]["outcome"] == "complete"
        assert status["inputs"][0]["failed_handshakes"] == 0
        assert service.end() == 0


@pytest.mark.parametrize("sender", ["another key", "no CURVE"])
def test_a_sender_that_does_not_is_not_listened_to(root: Path, sender: str) -> None:
    """It is told, once, and tried again: the sender may be started anew with the right key."""
    config = root.parent / "writer.toml"
    config.write_text(f'[input]\ncurve_server_keys = ["{Keys().public.decode()}"]\n')
    make = PlainDcu if sender == "no CURVE" else lambda: CurveDcu(Keys())
    with make() as dcu, Service(root, "-H0", f"--config={config}", dcu.address) as service:
        service.wait_until_ready()
        wait_for(lambda: service.status["inputs"][0]["failed_handshakes"] >= 3)
        status = service.status
        assert not status["inputs"][0]["connected"]
        assert f"no sender at {dcu.address}" in status["warnings"]
        assert metric(service, "jfwriter_failed_handshakes_total") >= 3
        assert service.end() == 0
        dcu._socket.setsockopt(zmq.LINGER, 0)
    assert service.log.count("the keys do not fit") == 1
    assert list(root.iterdir()) == []

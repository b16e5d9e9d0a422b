"""Who is answered over HTTP: names, tokens, foreign pages, bodies, slow clients, too many of them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import resource
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from jfwriter.daemon import http
from jfwriter.daemon.http_access import Access
from jfwriter.daemon.http_connections import Connections, max_connections
from jfwriter.daemon.status import Health, LastRun, Status
from jfwriter.errors import SettingsError
from jfwriter.socket_settings import HttpSettings
from tests.support.eventually import DEADLINE_S, eventually
from tests.support.told import IDLE, RESULT

TOKEN = "a-token-of-the-beamline"


class FakeDaemon:
    def __init__(self) -> None:
        self.http_refused: Counter[str] = Counter()
        self.n_cancelled = 0

    def status(self) -> Status:
        return IDLE

    async def health(self) -> Health:
        return Health(healthy=True, problems=[])

    async def cancel(self) -> LastRun | None:
        self.n_cancelled += 1
        return RESULT


class Served:
    def __init__(self, daemon: FakeDaemon, access: Access, address: tuple[str, int]) -> None:
        self.daemon = daemon
        self.access = access
        self.address = address

    @property
    def refused(self) -> Counter[str]:
        return self.daemon.http_refused

    async def raw(self, request: bytes) -> tuple[int, dict[str, str], Any]:
        """(status, headers, data) of a request that no client library would send."""
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(request)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), DEADLINE_S)
        line, *fields = head.decode().rstrip().split("\r\n")
        headers = dict(field.split(": ", 1) for field in fields)
        body = (
            b"null"
            if request.startswith(b"HEAD")
            else await reader.readexactly(int(headers["Content-Length"]))
        )
        writer.close()
        return int(line.split()[1]), headers, json.loads(body)

    async def ask(self, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], Any]:
        fields = {"Host": "127.0.0.1", "Content-Length": "0", **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        return await self.raw(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("utf-8", "surrogateescape"))


def write_token(path: Path, text: str, mode: int = 0o600) -> None:
    path.write_text(text)
    path.chmod(mode)


@contextlib.asynccontextmanager
async def served(settings: HttpSettings) -> AsyncIterator[Served]:
    daemon = FakeDaemon()
    access = Access(settings)
    listener = http.bind(HttpSettings(port=0))
    server = http.HttpServer(listener, daemon, access)
    await server.start()
    try:
        yield Served(daemon, access, listener.getsockname()[:2])
    finally:
        await server.close()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:5234", 200),
        ("10.1.2.3", 200),
        ("[::1]:5234", 200),
        ("LocalHost", 200),
        ("localhost.", 200),
        ("writer.example:80", 200),
        ("Writer.Example.", 200),
        ("evil.example", 421),
        ("evil.example:5234", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("writer.example.evil.example", 421),
        ("[evil]", 421),
        ("", 421),
    ],
)
async def test_the_name_that_the_writer_is_called_by(host: str, status: int) -> None:
    """DNS rebinding: a page of evil.example has its name resolve to this machine."""
    async with served(HttpSettings(allowed_hosts=("writer.example",))) as server:
        got, _, data = await server.ask("GET", "/status", Host=host)
        assert got == status
        assert status == 200 or data["error"] == "unknown_host"
        assert server.refused == ({} if status == 200 else {"host": 1})
        got, _, _ = await server.ask("POST", "/cancel", Host=host)
        assert (got, server.daemon.n_cancelled) == (status, int(status == 200))


@pytest.mark.parametrize(
    "host", ["Writer.Example", "writer.example.", socket.gethostname().upper(), "ITS-Name"]
)
async def test_names_of_the_settings_are_read_as_those_of_a_request(host: str) -> None:
    async with served(HttpSettings(host="Its-Name", allowed_hosts=("WRITER.example.",))) as server:
        assert (await server.ask("GET", "/status", Host=host))[0] == 200


async def test_every_host_header_must_be_known() -> None:
    async with served(HttpSettings()) as server:
        request = b"GET /status HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(request)
        line = await asyncio.wait_for(reader.readline(), DEADLINE_S)
        assert line.split()[1] in {b"400", b"421"}
        writer.close()


async def test_an_old_client_names_no_host() -> None:
    async with served(HttpSettings()) as server:
        assert (await server.raw(b"GET /status HTTP/1.0\r\n\r\n"))[0] == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:5234", 200),
        ("https://writer.example", 200),
        ("http://Writer.Example.:8080", 200),
        ("http://evil.example", 403),
        ("http://127.0.0.1:8080", 403),
        ("http://localhost", 403),
        ("null", 403),
        ("http://[", 403),
    ],
)
async def test_a_page_of_another_site_changes_nothing(origin: str, status: int) -> None:
    """Any page may have its reader's browser send a POST, and does not need to see the answer."""
    async with served(HttpSettings(allowed_hosts=("writer.example",))) as server:
        got, _, data = await server.ask("POST", "/cancel", Host="127.0.0.1:5234", Origin=origin)
        assert (got, server.daemon.n_cancelled) == (status, int(status == 200))
        assert status == 200 or data["error"] == "cross_site"
        assert (await server.ask("GET", "/status", Origin=origin))[0] == 200


async def test_the_name_of_the_own_page_in_capitals() -> None:
    async with served(HttpSettings()) as server:
        told = {"Host": "LocalHost:5234", "Origin": "http://localhost:5234"}
        assert (await server.ask("POST", "/cancel", **told))[0] == 200
        told = {"Host": "localhost:5234", "Origin": "http://LOCALHOST:5234"}
        assert (await server.ask("POST", "/cancel", **told))[0] == 200


RIGHT = f"Bearer {TOKEN}"
WRONG = [
    "", "Bearer", "Bearer ", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}",
    "Bearer ä\udcff", f"Bearer {TOKEN} {TOKEN}", f"Token {TOKEN}",
]  # fmt: skip


@pytest.mark.parametrize("given", WRONG)
async def test_without_the_token_nothing_changes(given: str, token_file: Path) -> None:
    async with served(HttpSettings(token_file=str(token_file))) as server:
        status, headers, data = await server.ask("POST", "/cancel", Authorization=given)
        assert (status, data["error"]) == (401, "unauthorized")
        assert headers["WWW-Authenticate"].startswith("Bearer")
        assert TOKEN not in json.dumps(data)
        assert (server.daemon.n_cancelled, server.refused) == (0, {"token": 1})
        assert (await server.ask("GET", "/status"))[0] == 200


@pytest.mark.parametrize("given", [RIGHT, f"bearer {TOKEN}", f"BEARER  {TOKEN} "])
async def test_with_the_token(given: str, token_file: Path) -> None:
    async with served(HttpSettings(token_file=str(token_file))) as server:
        assert (await server.ask("POST", "/cancel", Authorization=given))[0] == 200
        assert (await server.ask("POST", "/cancel", Authorization=given))[0] == 200
        assert server.daemon.n_cancelled == 2


async def test_a_wrong_method_is_told_with_or_without_token(token_file: Path) -> None:
    async with served(HttpSettings(token_file=str(token_file))) as server:
        assert (await server.ask("GET", "/cancel"))[0] == 405
        assert (await server.ask("POST", "/status"))[0] == 405
        assert (await server.ask("POST", "/runs/..%2f"))[0] == 404


async def test_reading_with_a_token(token_file: Path) -> None:
    async with served(HttpSettings(token_file=str(token_file), token_for_reading=True)) as server:
        for path in ("/status", "/health", "/metrics"):
            assert (await server.ask("GET", path))[0] == 401
            assert (await server.ask("HEAD", "/status"))[0] == 401
        assert (await server.ask("GET", "/status", Authorization=RIGHT))[0] == 200
        assert (await server.ask("GET", "/openapi.json"))[0] == 200
        async with aiohttp.ClientSession() as session, session.get(url(server, "/")) as page:
            assert page.status == 200
            assert "token-form" in await page.text()


def url(server: Served, path: str) -> str:
    host, port = server.address
    return f"http://{host}:{port}{path}"


async def test_another_token_from_now_on(token_file: Path) -> None:
    settings = HttpSettings(token_file=str(token_file))
    async with served(settings) as server:
        write_token(token_file, "another-token-from-now-on")
        server.access.use(settings)
        assert (await server.ask("POST", "/cancel", Authorization=RIGHT))[0] == 401
        changed = "Bearer another-token-from-now-on"
        assert (await server.ask("POST", "/cancel", Authorization=changed))[0] == 200
        write_token(token_file, TOKEN, 0o644)
        with pytest.raises(SettingsError, match="mode 0644"):
            server.access.use(settings)
        assert (await server.ask("POST", "/cancel", Authorization=changed))[0] == 200


@pytest.mark.parametrize(
    ("headers", "status", "word"),
    [
        ("Content-Length: 100000\r\n", 413, "too_large"),
        ("Transfer-Encoding: chunked\r\n", 411, "length_required"),
    ],
)
async def test_bodies_are_bounded(headers: str, status: int, word: str) -> None:
    """Answered at once: the body is not waited for."""
    async with served(HttpSettings()) as server:
        got, _, data = await server.raw(f"POST /cancel HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode())
        assert (got, data["error"], server.daemon.n_cancelled) == (status, word, 0)


async def test_headers_are_bounded() -> None:
    async with served(HttpSettings()) as server:
        for fields in (f"X: {'x' * 20_000}\r\n", "".join(f"X{i}: x\r\n" for i in range(1000))):
            reader, writer = await asyncio.open_connection(*server.address)
            writer.write(f"GET /status HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode())
            assert b" 400 " in await asyncio.wait_for(reader.readline(), DEADLINE_S)
            writer.close()
        assert (await server.ask("GET", "/status"))[0] == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/status"), ("GET", "/x"), ("POST", "/cancel"), ("PUT", "/")]
)
async def test_headers_of_every_answer(method: str, path: str) -> None:
    async with served(HttpSettings()) as server:
        _, headers, _ = await server.ask(method, path)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Server"] == "jfwriter"
        assert "Access-Control-Allow-Origin" not in headers


class Echo(asyncio.Protocol):
    """Stands for HTTP: says what it got."""

    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.on_lost: Callable[[], object] = lambda: None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.events.append(data.decode())

    def pause_writing(self) -> None:
        self.events.append("paused")

    def resume_writing(self) -> None:
        self.events.append("resumed")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost")
        self.on_lost()


@contextlib.asynccontextmanager
async def watched(
    most: int, client_s: float
) -> AsyncIterator[tuple[Connections, list[Echo], Counter[str], Any]]:
    echoes: list[Echo] = []
    refused: Counter[str] = Counter()

    def make() -> Echo:
        echoes.append(Echo([]))
        return echoes[-1]

    connections = Connections(make, refused, most, client_s)
    server = await asyncio.get_running_loop().create_server(connections, "127.0.0.1", 0)
    try:
        yield connections, echoes, refused, server.sockets[0].getsockname()
    finally:
        server.close()


async def test_a_client_that_is_due_is_cut_off() -> None:
    """Slowloris: a header line now and then."""
    async with watched(10, 0.2) as (_, echoes, refused, address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET / HTTP/1.1\r\nX-a: ")
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), DEADLINE_S) == b""
        writer.close()
        assert refused == {"too_slow": 1}
        assert echoes[0].events == ["made", "GET / HTTP/1.1\r\nX-a: ", "lost"]


async def test_the_writers_own_time_is_not_the_clients() -> None:
    async with watched(10, 0.05) as (connections, echoes, refused, address):
        reader, writer = await asyncio.open_connection(*address)
        await eventually(lambda: echoes and echoes[0].transport)
        transport = echoes[0].transport
        connections.request_begins(transport)
        _, other = await asyncio.open_connection(*address)
        await eventually(lambda: refused["too_slow"] == 1)  # the other one
        assert transport is not None
        assert not transport.is_closing()
        connections.request_ends(transport)
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), DEADLINE_S)
        assert refused["too_slow"] == 2
        writer.close()
        other.close()


async def test_too_many_connections_are_refused_and_the_others_live() -> None:
    async with watched(2, 60.0) as (_, echoes, refused, address):
        kept = [await asyncio.open_connection(*address) for _ in range(2)]
        await eventually(lambda: len(echoes) == 2 and all(echo.events for echo in echoes))
        reader, writer = await asyncio.open_connection(*address)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), DEADLINE_S) == b""
        assert refused == {"connections": 1}
        assert echoes[2].events == []
        kept[0][1].write(b"still")
        await eventually(lambda: "still" in echoes[0].events + echoes[1].events)
        kept[0][1].close()
        await eventually(lambda: ["lost"] in [echo.events[-1:] for echo in echoes])
        again = await asyncio.open_connection(*address)
        await eventually(lambda: echoes[-1].events == ["made"])
        for _, stream in (*kept, again):
            stream.close()
        writer.close()
        await eventually(lambda: sum("lost" in echo.events for echo in echoes) == 3)


@pytest.mark.parametrize(("soft", "most"), [(resource.RLIM_INFINITY, 2048), (1024, 256), (1 << 20, 2048)])
def test_connections_leave_descriptors_for_files(
    soft: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    assert max_connections() == most


async def test_each_answer_gives_the_client_its_time_anew() -> None:
    """The first of two clients gets an answer after the second has come: the second one is due before it."""
    async with watched(10, 0.5) as (connections, echoes, refused, address):
        _, first = await asyncio.open_connection(*address)
        await eventually(lambda: echoes and echoes[0].transport)
        _, second = await asyncio.open_connection(*address)
        await eventually(lambda: len(echoes) == 2 and echoes[1].transport)
        connections.request_ends(echoes[0].transport)
        order: list[int] = []
        for number, echo in enumerate(echoes):
            echo.on_lost = functools.partial(order.append, number)
        await eventually(lambda: len(order) == 2)
        assert order == [1, 0]
        assert refused == {"too_slow": 2}
        first.close()
        second.close()


async def test_a_client_that_has_gone_is_not_called_slow() -> None:
    async with watched(10, 0.3) as (connections, echoes, refused, address):
        _, gone = await asyncio.open_connection(*address)
        await eventually(lambda: echoes and echoes[0].transport)
        gone.close()
        await eventually(lambda: echoes[0].events[-1] == "lost")
        connections.request_begins(echoes[0].transport)  # what is on its way when the client goes
        connections.request_ends(echoes[0].transport)
        _, slow = await asyncio.open_connection(*address)
        await eventually(lambda: len(echoes) == 2 and "lost" in echoes[1].events)
        assert refused == {"too_slow": 1}
        slow.close()


async def test_http_is_told_to_wait_for_a_client_that_reads_slowly() -> None:
    async with watched(10, 60.0) as (_, echoes, _refused, address):
        reader, writer = await asyncio.open_connection(*address, limit=1024)
        await eventually(lambda: echoes and echoes[0].transport)
        transport = echoes[0].transport
        assert transport is not None
        n_bytes = 32 << 20
        transport.write(bytes(n_bytes))
        assert echoes[0].events == ["made", "paused"]
        await asyncio.wait_for(reader.readexactly(n_bytes), DEADLINE_S)
        await eventually(lambda: echoes[0].events == ["made", "paused", "resumed"])
        writer.close()

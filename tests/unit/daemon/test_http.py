"""HTTP: every answer is what the description says, errors are JSON, GET changes nothing."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import jsonschema
import pytest
import pytest_asyncio
from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families

from jfwriter.daemon import http
from jfwriter.daemon.http_access import Access
from jfwriter.daemon.openapi import description
from jfwriter.daemon.page import Page
from jfwriter.daemon.status import (
    Health,
    LastRun,
    Status,
)
from jfwriter.daemon.wire_log import BURST_LINES
from jfwriter.errors import EndpointError
from jfwriter.socket_settings import HttpSettings
from tests.support.told import IDLE, RESULT, WRITING


class FakeDaemon:
    def __init__(self) -> None:
        self.now = IDLE
        self.problems: list[str] = []
        self.result: LastRun | None = None
        self.cancelling = asyncio.Event()
        self.may_finish = asyncio.Event()
        self.may_finish.set()
        self.error: Exception | None = None
        self.http_refused: Counter[str] = Counter()

    def status(self) -> Status:
        if self.error is not None:
            raise self.error
        return self.now

    async def health(self) -> Health:
        return Health(healthy=not self.problems, problems=self.problems)

    async def cancel(self) -> LastRun | None:
        self.cancelling.set()
        await self.may_finish.wait()
        return self.result


class Client:
    """Asks a real server, and holds every answer against the description."""

    def __init__(self, session: aiohttp.ClientSession, daemon: FakeDaemon) -> None:
        self._session = session
        self.daemon = daemon
        self.description: dict[str, Any] = json.loads(json.dumps(description()))

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any, aiohttp.ClientResponse]:
        async with self._session.request(method, path, **options) as reply:
            body = await reply.read()
            if reply.content_type == "application/json" and body:
                data = json.loads(body)
                self._check(method, path, reply.status, data)
                return reply.status, data, reply
            return reply.status, body, reply

    def _check(self, method: str, path: str, status: int, data: Any) -> None:
        operation = self.description["paths"].get(path, {}).get(method.lower())
        response = {"$ref": "#/components/schemas/ErrorReply"}
        if operation is not None:
            replies = operation["responses"]
            response = replies.get(str(status), replies["default"])["content"]["application/json"]["schema"]
        jsonschema.validate(data, {**response, "components": self.description["components"]})


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    daemon = FakeDaemon()
    listener = http.bind(HttpSettings(port=0))
    server = http.HttpServer(listener, daemon, Access(HttpSettings()))
    await server.start()
    async with aiohttp.ClientSession(http.endpoint(listener)) as session:
        yield Client(session, daemon)
    await server.close()


def test_the_description_is_openapi() -> None:
    validate(json.loads(json.dumps(description())))


@pytest.mark.parametrize("now", [IDLE, WRITING], ids=["idle", "writing"])
async def test_status(client: Client, now: Status) -> None:
    client.daemon.now = now
    status, data, reply = await client.ask("GET", "/status")
    assert status == 200
    assert data["state"] == now.state.value
    assert data["run_number"] == now.run_number
    assert reply.headers["Cache-Control"] == "no-store"
    assert set(data) == set(client.description["components"]["schemas"]["Status"]["required"])


async def test_the_fields_that_scripts_rely_on(client: Client) -> None:
    client.daemon.now = WRITING
    _, data, _ = await client.ask("GET", "/status")
    assert {
        "state", "file_prefix", "run_name", "run_number", "socket_number", "nimages", "images_expected",
        "images_received", "images_dropped", "performance_MBs", "performance_Hz", "queue_bytes",
        "oldest_image_age_s", "format", "files_closed", "last_run", "version",
    } <= set(data)  # fmt: skip
    assert data["last_run"]["missing"] == [[3, 5]]


async def test_health(client: Client) -> None:
    assert (await client.ask("GET", "/health"))[:2] == (200, {"healthy": True, "problems": []})
    client.daemon.problems = ["no space left", "the writer is being stopped"]
    assert (await client.ask("GET", "/health"))[:2] == (
        503,
        {"error": "unhealthy", "message": "no space left; the writer is being stopped"},
    )


async def test_cancel_without_a_run(client: Client) -> None:
    assert (await client.ask("POST", "/cancel"))[:2] == (409, {"error": "idle", "message": "no run is open"})


async def test_cancel_answers_when_the_run_is_finalized(client: Client) -> None:
    client.daemon.result = RESULT
    client.daemon.may_finish.clear()
    answer = asyncio.create_task(client.ask("POST", "/cancel"))
    await client.daemon.cancelling.wait()
    assert (await client.ask("GET", "/status"))[0] == 200
    assert not answer.done()
    client.daemon.may_finish.set()
    status, data, _ = await answer
    assert (status, data["outcome"], data["images_written"]) == (200, "cancelled", 7)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_only_post_cancels(client: Client, method: str) -> None:
    status, _, reply = await client.ask(method, "/cancel")
    assert status == 405
    assert reply.headers["Allow"] == "POST"
    assert reply.content_type == "application/json"
    assert not client.daemon.cancelling.is_set()


@pytest.mark.parametrize("path", ["/status", "/health", "/metrics", "/openapi.json", "/"])
async def test_nothing_else_takes_a_post(client: Client, path: str) -> None:
    status, data, reply = await client.ask("POST", path)
    assert (status, data["error"]) == (405, "method_not_allowed")
    assert "GET" in reply.headers["Allow"]


@pytest.mark.parametrize("path", ["/x", "/status/", "/runs/..%2f..%2fetc", "/%00", "/cancel/x"])
async def test_what_is_not_there(client: Client, path: str) -> None:
    status, data, _ = await client.ask("GET", path)
    assert (status, data["error"]) == (404, "not_found")
    assert "etc" not in data["message"]


async def test_a_large_body_is_refused(client: Client) -> None:
    status, data, _ = await client.ask("POST", "/cancel", data=bytes(1 << 20))
    assert (status, data["error"]) == (413, "too_large")
    assert not client.daemon.cancelling.is_set()


async def test_a_bug_is_told_without_its_traceback(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.daemon.error = RuntimeError("/secret/path")
    status, data, _ = await client.ask("GET", "/status")
    assert (status, data["error"]) == (500, "bug")
    assert "secret" not in json.dumps(data)
    assert "/secret/path" in caplog.text


async def test_metrics_are_prometheus_text(client: Client) -> None:
    client.daemon.now = WRITING
    status, body, reply = await client.ask("GET", "/metrics")
    assert status == 200
    assert reply.content_type == "text/plain"
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    assert families["jfwriter_images_written"].samples[0].value == 7
    assert families["jfwriter_images_written"].type == "counter"
    (dropped,) = families["jfwriter_images_dropped"].samples
    assert (dropped.name, dropped.labels, dropped.value) == (
        "jfwriter_images_dropped_total", {"reason": "duplicate"}, 2,
    )  # fmt: skip
    states = {s.labels["state"]: s.value for s in families["jfwriter_state"].samples}
    assert states == {"idle": 0, "writing": 1, "finalizing": 0, "draining": 0}
    assert families["jfwriter_queue_bytes"].samples[0].value == 5
    assert "process_resident_memory_bytes" in families


async def test_metrics_of_an_idle_writer(client: Client) -> None:
    _, body, _ = await client.ask("GET", "/metrics")
    assert list(text_string_to_metric_families(body.decode()))


async def test_the_description_names_all_there_is(client: Client) -> None:
    status, data, _ = await client.ask("GET", "/openapi.json")
    assert status == 200
    assert data == client.description
    for path, operations in data["paths"].items():
        for method in operations:
            status, _, _ = await client.ask(method.upper(), path)
            assert str(status) in operations[method]["responses"]


async def test_the_page_needs_nothing_from_outside(client: Client) -> None:
    status, body, reply = await client.ask("GET", "/")
    assert (status, reply.content_type) == (200, "text/html")
    html = body.decode()
    assert "http://" not in html
    assert "https://" not in html
    assert not re.search(r"""(src|@import|url\()\s*=?\s*["']?[a-z/]""", html)
    policy = reply.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_page_puts_no_text_into_markup() -> None:
    html = Page().html.decode()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", html)


def test_a_port_that_is_taken_is_named() -> None:
    listener = http.bind(HttpSettings(port=0))
    port = listener.getsockname()[1]
    with listener, pytest.raises(EndpointError, match=f"HTTP: cannot bind 127.0.0.1 port {port}"):
        http.bind(HttpSettings(port=port))


def test_a_foreign_host_is_named() -> None:
    with pytest.raises(EndpointError, match="cannot bind"):
        http.bind(HttpSettings(port=0, host="203.0.113.1"))


def test_the_url_of_an_ipv6_listener() -> None:
    try:
        listener = http.bind(HttpSettings(port=0, host="::1"))
    except EndpointError:
        pytest.skip("no IPv6 here")
    with listener:
        assert http.endpoint(listener).startswith("http://[::1]:")


async def test_what_is_not_http_writes_one_line_and_only_so_many(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    listener = http.bind(HttpSettings(port=0))
    server = http.HttpServer(listener, FakeDaemon(), Access(HttpSettings()))
    await server.start()
    try:
        for _ in range(BURST_LINES + 20):
            reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
            writer.write(b"GET / HTTP/9.9\r\nno header\r\n\r\n")
            assert b" 400 " in await asyncio.wait_for(reader.readline(), 20)
            writer.close()
    finally:
        await server.close()
    lines = [record for record in caplog.records if "Error handling request" in record.getMessage()]
    assert 0 < len(lines) <= BURST_LINES + 15
    assert all(record.exc_info is None for record in lines)

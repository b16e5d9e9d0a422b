"""A crowd that polls, clients that never come to the point, and what must go on beside them."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support import stream
from tests.support.daemon import DEADLINE_S
from tests.support.plain_dcu import PlainDcu
from tests.support.service import Service

N_POLLS = 1000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


async def answer(address: tuple[str, int], request: str) -> bytes:
    """First line of the answer."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    line = await asyncio.wait_for(reader.readline(), DEADLINE_S)
    await reader.read()
    writer.close()
    return line


async def crowd(address: tuple[str, int]) -> tuple[list[bytes], bytes, int]:
    """(answers to the polls, the answer to a cancellation in their midst, polls that waited still then)"""
    polls = [asyncio.create_task(answer(address, "GET /status")) for _ in range(N_POLLS)]
    await asyncio.wait(polls, return_when=asyncio.FIRST_COMPLETED)
    cancelled = await answer(address, "POST /cancel")
    n_waiting = sum(not poll.done() for poll in polls)
    return await asyncio.gather(*polls), cancelled, n_waiting


def test_a_crowd_takes_no_image_away_and_keeps_no_cancellation_waiting(root: Path) -> None:
    with PlainDcu() as dcu, Service(root, "-H0", dcu.address) as service:
        service.wait_until_ready()
        place = urlsplit(service.endpoint("HTTP"))
        assert place.hostname is not None
        assert place.port is not None
        address = place.hostname, place.port
        dcu.send(stream.run(1, 40))
        service.wait_for_status(state="idle")
        dcu.send([stream.start(2, 500, user_data={"images_per_file": 100})])
        service.wait_for_status(state="writing")
        images = [stream.image_message(i, 2) for i in range(40)]
        sender = threading.Thread(target=dcu.send, args=(images,))
        silent = [socket.create_connection(address) for _ in range(20)]
        sender.start()
        answers, cancelled, n_waiting = asyncio.run(crowd(address))
        sender.join()
        assert all(b" 200 " in line for line in answers)
        assert b" 200 " in cancelled
        assert n_waiting > 0, "the cancellation has not waited for those who came before it"
        last = service.wait_for_status(state="idle")["last_run"]
        assert last["outcome"] == "cancelled"
        assert last["images_missing"] == 0
        totals = service.status["totals"]
        assert totals["images_received"] == 80
        assert totals["bad_messages"] == {}
        assert service.end() == 0
        for one in silent:
            one.close()
    assert "Traceback" not in service.log

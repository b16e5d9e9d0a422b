"""Names that a sender makes up, where people and programs meet them: log, status, metrics, announcements,
service manager, terminal. They act nowhere, and programs get them as they are."""

from __future__ import annotations

import json
import re
import socket
import urllib.request
from pathlib import Path

import pytest
import zmq
from prometheus_client.parser import text_string_to_metric_families

from tests.support import stream
from tests.support.daemon import DEADLINE_S, wait_for
from tests.support.plain_dcu import PlainDcu
from tests.support.service import Service

NAMES = [
    "<img src=x onerror=alert(1)>",
    "</script><script>document.title='owned'</script>",
    "\x1b[2J\x1b[31mred\x1b]0;owned\x07",
    "c1 \x9b31m \x85 \x90q",
    "two\r\n2026-01-01 00:00:00,000 ERROR   forged\n<0>emergency",
    "evil\u202egnp.exe",
    "\u2066isolate\u2069 \u200b\ufeff\u00ad",
    "\u2028line\u2029paragraph",
    "quote\" back\\slash '} # HELP x\njfwriter_forged 1",
    "%s %n %(x)s {0} {x!r} $HOME `id` $(id)",
    "e\u0301\u0301\u0301 漢字 Å",
    "STATUS\nMAINPID=1\nSTOPPING=1",
    "long " + "x" * 300,
]
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (INFO|WARNING|ERROR) +\S")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


def run_called(number: int, name: str, prefix: str) -> list[bytes]:
    user_data = {
        "run_name": name,
        "sample_name": name,
        "file_prefix": prefix,
        "user": {"name": name, name: 1},
    }
    start = stream.start(
        number, 2, user_data=user_data, series_unique_id=name, channels=["default"], instrument_name=name,
        unknown_thing=name,
    )  # fmt: skip
    images = [stream.image_message(i, number, series_unique_id=name) for i in range(2)]
    return [start, *images, stream.end(number, 2, series_unique_id=name)]


def test_names_that_want_to_be_more(root: Path) -> None:
    """Each is the name of a run whose files are called otherwise, and then the file prefix of another."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(root.parent / "notify"))
    manager.setblocking(False)
    told: list[bytes] = []
    with (
        manager,
        zmq.Context() as context,
        context.socket(zmq.SUB) as subscriber,
        PlainDcu() as dcu,
        Service(
            root, "-H0", "-f0", dcu.address, environment={"NOTIFY_SOCKET": str(root.parent / "notify")}
        ) as service,
    ):
        service.wait_until_ready()
        subscriber.subscribe(b"")
        subscriber.connect(service.endpoint("announcements"))
        n_finished = 0
        announced: list[bytes] = []
        for number, name in enumerate(NAMES):
            for series, prefix in ((2 * number + 1, f"plain{number}"), (2 * number + 2, name)):
                dcu.send(run_called(series, name, prefix))
                n_finished += 1
                wait_for(lambda n=n_finished: sum(service.status["totals"]["runs"].values()) >= n)
                last = service.status["last_run"]
                assert last["run_name"] == name
                assert last["outcome"] in {"complete", "failed"}
                if prefix.startswith("plain"):
                    assert last["outcome"] == "complete"
        while subscriber.poll(100):
            announced.append(subscriber.recv())
        with urllib.request.urlopen(service.endpoint("HTTP") + "metrics", timeout=DEADLINE_S) as reply:
            metrics = reply.read().decode()
        with urllib.request.urlopen(service.endpoint("HTTP"), timeout=DEADLINE_S) as reply:
            page = reply.read().decode()
        assert service.end() == 0
        while True:
            try:
                told.append(manager.recv(10_000))
            except BlockingIOError:
                break
    log = service.log_path.read_bytes().decode()
    assert all(line.isprintable() for line in log.split("\n"))
    assert all(LINE.match(line) for line in log.rstrip("\n").split("\n"))
    assert "Traceback" not in log
    assert r"evil\u202egnp.exe" in log

    names = {family.name for family in text_string_to_metric_families(metrics)}
    assert all(name.startswith(("jfwriter_", "process_")) for name in names)
    assert "jfwriter_forged" not in names
    assert "owned" not in metrics + page

    assert announced
    for message in announced:
        assert all(32 <= byte < 127 for byte in message)
        data = json.loads(message)
        assert data["sample_name"] in NAMES
        assert data["user_data"]["name"] == data["sample_name"]

    for text in told:
        key, _, value = text.decode().partition("=")
        assert key in {"READY", "STATUS", "WATCHDOG", "STOPPING"}
        assert key == "READY" or value.isprintable()

    assert {path.parent for path in root.rglob("*.h5")} >= {root}
    made = [path for path in root.parent.rglob("*") if root not in path.parents and path != root]
    assert sorted(path.name for path in made) == ["notify", "root.log"]
    assert all(path.name.isprintable() for path in root.rglob("*"))


def test_the_terminal_of_who_waits_for_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    """What the writer says of the run is what the sender called it."""
    from jfwriter.commands.simulate import print_answers

    print_answers(
        [{"socket_number": 0, "run_name": name, "processed_images": 1, "ok": True} for name in NAMES]
    )
    lines = capsys.readouterr().out.rstrip("\n").split("\n")
    assert len(lines) == len(NAMES)
    assert all(line.isprintable() for line in lines)

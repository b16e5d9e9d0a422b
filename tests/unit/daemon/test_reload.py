"""Which changed settings are taken, which are not, and for which runs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from jfwriter.daemon.reload import AT_ONCE, NEXT_RUN, RESTART, different, merged
from jfwriter.daemon.settings_of_runs import SettingsOfRuns
from jfwriter.errors import SettingsError
from jfwriter.session.orders import OpenRun
from jfwriter.session.session import Session
from jfwriter.settings import Settings, parse
from tests.support import messages


def settings(**sections: dict[str, Any]) -> Settings:
    return parse(dict(sections), "x")


def test_what_is_taken_and_what_is_not() -> None:
    wanted = settings(
        files={
            "fill_gaps": False,
            "root_dir": "/elsewhere",
            "n_writers": 2,
            "checksum": "crc32",
            "second_root_dir": "/second",
            "root_guard": "guard",
            "umask": 0o027,
        },
        journal={"enabled": False, "recover_at_start": True},
        http={"port": 1, "allowed_hosts": ["a"]},
        limits={"max_spots": 5, "max_message_bytes": 7},
        memory={"byte_budget_bytes": 1 << 20},
        analysis={
            "threads": 3,
            "image_statistics": "always",
            "spots": {"mode": "never", "min_pix_per_spot": 9},
        },
    )
    taken, kept = merged(Settings(), wanted)
    assert kept == [
        "analysis.threads", "files.root_dir", "files.root_guard", "files.umask", "http.port",
        "journal.recover_at_start", "limits.max_message_bytes", "memory.byte_budget_bytes",
    ]  # fmt: skip
    assert sorted(different(Settings(), taken)) == [
        "analysis.image_statistics", "analysis.spots.min_pix_per_spot", "files.checksum", "files.fill_gaps",
        "files.n_writers", "files.second_root_dir", "http.allowed_hosts", "journal.enabled",
        "limits.max_spots",
    ]  # fmt: skip
    assert sorted(different(taken, wanted)) == kept


@pytest.mark.parametrize("name", ["spots", "azint"])
def test_kernels_that_were_not_compiled_need_a_restart(name: str) -> None:
    taken, kept = merged(Settings(), settings(analysis={name: "auto"}))
    assert kept == [f"analysis.{name}.mode"]
    assert taken == Settings()
    on = settings(analysis={name: "auto"})
    assert merged(on, Settings()) == (Settings(), [])


def test_what_is_taken_must_fit_what_stays() -> None:
    now = settings(input={"addresses": ["tcp://a:1"]}, files={"default_max_spot_count": 10})
    wanted = settings(http={"token_for_reading": False})
    object.__setattr__(wanted, "http", wanted.http.model_copy(update={"token_for_reading": True}))
    with pytest.raises(SettingsError, match="token_for_reading needs"):
        merged(now, wanted)


def test_every_name_is_one_of_a_setting() -> None:
    names = set(different(Settings(), Settings()))
    assert names == set()
    known = {f"{section}.{name}" for section, part in Settings() for name in type(part).model_fields}
    assert known >= NEXT_RUN | AT_ONCE | RESTART
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_]+", name) for name in NEXT_RUN | AT_ONCE | RESTART)


def test_the_run_in_work_keeps_its_settings() -> None:
    session = Session(settings(files={"default_images_per_file": 4}))
    orders = session.on_start(messages.start(images_per_file=None), 0.0)
    assert isinstance(orders[-1], OpenRun)
    assert orders[-1].plan.images_per_file == 4
    session.use(settings(files={"default_images_per_file": 7}, limits={"max_unexpected_images": 0}))
    again = session.on_start(messages.start(images_per_file=None), 0.0)
    assert not isinstance(again[-1], OpenRun), "the start came twice: the run goes on"
    assert session._settings.files.default_images_per_file == 4
    orders = session.on_start(
        messages.start(images_per_file=None, series_id=99, series_unique_id="next"), 0.0
    )
    assert isinstance(orders[-1], OpenRun)
    assert orders[-1].plan.images_per_file == 7


def test_the_settings_of_a_run_that_waits_for_its_writing() -> None:
    first, second, third = (settings(files={"n_writers": n}) for n in (1, 2, 3))
    runs = SettingsOfRuns(first)
    assert runs.of(1) is first
    runs.use(second, 3)
    assert (runs.of(2), runs.of(3), runs.of(9)) == (first, second, second)
    runs.use(third, 3)
    assert (runs.of(2), runs.of(3)) == (first, third)
    for serial in range(4, 100):
        runs.use(second, serial)
    assert runs.of(99) is second
    assert len(runs._since) < 20

"""SIGHUP to the real daemon: settings change for the next run, and a wrong file changes nothing."""

from __future__ import annotations

import os
import signal
import urllib.request
from pathlib import Path

import h5py
import pytest

from jfwriter.hdf5.checksums import IN_DATA_FILE as CHECKSUMS
from tests.support import stream
from tests.support.daemon import wait_for
from tests.support.plain_dcu import PlainDcu
from tests.support.service import Service


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


def start(series_id: int) -> bytes:
    """A run that leaves the number of images per file to the settings."""
    return stream.start(series_id, user_data={"images_per_file": None})


def images_and_end(series_id: int) -> list[bytes]:
    return stream.run(series_id)[1:]


def reload(service: Service, said: str) -> None:
    n_before = service.log.count(said)
    service.process.send_signal(signal.SIGHUP)
    wait_for(lambda: service.log.count(said) > n_before)


def files_of(root: Path, series_id: int) -> int:
    return len(list(root.glob(f"run{series_id}_data_*.h5")))


def cancel_status(service: Service, token: str) -> int:
    request = urllib.request.Request(service.endpoint("HTTP") + "cancel", method="POST")
    request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_changed_settings(root: Path) -> None:
    config, token = root.parent / "writer.toml", root.parent / "token"
    old, new = "the-old-token-of-all", "the-new-token-of-all"
    token.touch(0o600)
    token.write_text(old)

    def write(images_per_file: int, more: str = "") -> None:
        config.write_text(
            f'[http]\nport = 0\ntoken_file = "{token}"\n'
            f"[files]\ndefault_images_per_file = {images_per_file}\n{more}"
        )

    write(5)
    with PlainDcu() as dcu, Service(root, f"--config={config}", dcu.address) as service:
        service.wait_until_ready()
        dcu.send([start(1), *images_and_end(1)[:3]])
        service.wait_for_status(nimages=3)
        write(2, "[memory]\nbyte_budget_bytes = 1048576\n[limits]\nmax_spots = 9\n")
        token.write_text(new)
        reload(service, "settings taken for the next run")
        assert "files.default_images_per_file, limits.max_spots" in service.log
        assert "settings that need a restart, and stay as they are: memory.byte_budget_bytes" in service.log
        assert service.status["byte_budget_bytes"] > 1 << 20
        dcu.send(images_and_end(1)[3:])
        service.wait_for_status(state="idle")
        assert service.status["last_run"]["outcome"] == "complete"
        dcu.send([start(2), *images_and_end(2)])
        wait_for(lambda: service.status["totals"]["runs"].get("complete") == 2)
        assert (files_of(root, 1), files_of(root, 2)) == (2, 5)
        assert (cancel_status(service, old), cancel_status(service, new)) == (401, 409)
        write(2, "[limits]\nmax_spots = 9\n")
        reload(service, "no setting has changed")

        config.write_text("[files]\nno_such_setting = 1\n")
        reload(service, "settings not taken: ")
        assert f"{config}: line 2: files.no_such_setting: unknown setting" in service.log
        assert any("were not taken" in warning for warning in service.status["warnings"])
        write(3)
        token.chmod(0o644)
        reload(service, "line 3: http.token_file")
        assert cancel_status(service, new) == 409
        token.chmod(0o600)
        reload(service, "settings taken for the next run")
        assert service.status["warnings"] == []
        dcu.send([start(3), *images_and_end(3)])
        wait_for(lambda: service.status["totals"]["runs"].get("complete") == 3)
        assert files_of(root, 3) == 4
        assert service.end() == 0
    assert old not in service.log
    assert new not in service.log
    assert "Traceback" not in service.log


def test_storage_and_journal_are_those_of_the_next_run(root: Path) -> None:
    """What the run in work was started with stays: no manifest, no checksums, a journal, its own mode."""
    config, second = root.parent / "writer.toml", root.parent / "second"
    config.write_text("[http]\nport = 0\n")
    second.mkdir()
    with PlainDcu() as dcu, Service(root, f"--config={config}", dcu.address) as service:
        service.wait_until_ready()
        dcu.send(stream.run(1)[:3])
        service.wait_for_status(nimages=2)
        files = f'checksum = "crc32"\nmanifest = true\nfile_mode = 0o640\nsecond_root_dir = "{second}"\n'
        config.write_text(f"[http]\nport = 0\n[files]\n{files}[journal]\nenabled = false\n")
        reload(service, "settings taken for the next run")
        assert "stay as they are" not in service.log
        dcu.send(stream.run(1)[3:])
        service.wait_for_status(state="idle")
        (root / "run2_data_000001.h5").mkdir()  # only the second root is looked at besides, and refuses too
        (second / "run3_data_000001.h5").mkdir()
        dcu.send([*stream.run(2), *stream.run(3), *stream.run(4)[:3]])
        wait_for(lambda: service.status["totals"]["runs_refused"] == {"exists": 2})
        service.wait_for_status(nimages=2, images_synced=0)
        journals = sorted(path.name for path in root.glob("*journal*"))
        dcu.send(stream.run(4)[3:])
        wait_for(lambda: service.status["totals"]["runs"].get("complete") == 2)

        config.write_text(f'[http]\nport = 0\n[files]\n{files}group = "no such group"\n')
        reload(service, "settings not taken: files.group: there is no group 'no such group'")
        assert service.end() == 0
    assert journals == []
    assert [path.name for path in root.glob("*_manifest.json")] == ["run4_manifest.json"]
    modes = {path.name: path.stat().st_mode & 0o777 for path in root.glob("*_master.h5")}
    assert modes["run4_master.h5"] == 0o640
    assert modes["run1_master.h5"] != 0o640
    with h5py.File(root / "run1_data_000001.h5") as before, h5py.File(root / "run4_data_000001.h5") as after:
        assert (CHECKSUMS in before, CHECKSUMS in after) == (False, True)


def test_an_unreadable_secret_refuses_the_start(root: Path) -> None:
    config, token = root.parent / "writer.toml", root.parent / "token"
    token.write_text("a-token-that-all-can-read")
    os.chmod(token, 0o644)  # noqa: PTH101
    config.write_text(f'[http]\nport = 0\ntoken_file = "{token}"\n')
    with Service(root, f"--config={config}", "tcp://127.0.0.1:1") as service:
        assert service.code() == 78
    assert f"{config}: line 3: http.token_file: {token}: mode 0644" in service.log
    config.write_text('[http]\nport = 0\ntoken_file = "credential:http-token"\n')
    with Service(root, f"--config={config}", "tcp://127.0.0.1:1") as service:
        assert service.code() == 78
    assert "LoadCredential=http-token" in service.log

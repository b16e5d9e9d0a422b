"""`jfwriter keys`: what it makes is what the settings take, and nobody else can read it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
import zmq.auth

from jfwriter import cli
from jfwriter.secret_files import curve_secret_of, token_of


@pytest.fixture(autouse=True)
def _an_open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_key_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "writer.key"
    assert cli.main(["keys", "curve", str(path)]) == 0
    public, secret = zmq.auth.load_certificate(path)
    assert mode(path) == 0o600
    assert f"public key: {public.decode()}" in capsys.readouterr().out.splitlines()
    assert secret is not None
    assert zmq.curve_public(secret) == public
    assert curve_secret_of(str(path)) == secret.decode()


def test_a_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "token"
    assert cli.main(["keys", "token", str(path)]) == 0
    assert mode(path) == 0o600
    token = token_of(str(path))
    assert len(token) >= 43
    assert token not in capsys.readouterr().out
    assert cli.main(["keys", "token", str(tmp_path / "other")]) == 0
    assert token_of(str(tmp_path / "other")) != token


@pytest.mark.parametrize("kind", ["curve", "token"])
def test_nothing_is_overwritten(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "there"
    path.write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("there", "link", "none/key"):
        assert cli.main(["keys", kind, str(tmp_path / name)]) == 74
        assert "cannot be made" in capsys.readouterr().err
    assert path.read_text() == "x"
    assert not (tmp_path / "elsewhere").exists()

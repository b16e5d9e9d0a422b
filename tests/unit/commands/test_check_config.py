"""`check-config`: every setting explained, every problem with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jfwriter.cli import main
from jfwriter.settings import Settings


def write(directory: Path, text: str) -> str:
    path = directory / "w.toml"
    path.write_text(text)
    return str(path)


GOOD = """\
[http]
port = 5234
[memory]
byte_budget_bytes = 8589934592
[files]
umask = 0o027
root_dir = "/data"
"""


def test_what_a_file_means(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check_config", write(tmp_path, GOOD)]) == 0
    out = capsys.readouterr().out
    assert "  port = 5234\n" in out
    assert "  byte_budget_bytes = 8589934592 (8 GiB)\n" in out
    assert "  umask = 0o027\n" in out
    assert "  shutdown_deadline_s = 60 s   (default)\n" in out
    assert '  host = "127.0.0.1"   (default)\n' in out
    assert "  answers HTTP at 127.0.0.1 port 5234\n" in out
    assert "  writes below /data\n" in out
    assert "no address here" in out


def test_every_setting_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check-config", write(tmp_path, "")])
    out = capsys.readouterr().out
    for name, section in Settings.model_fields.items():
        assert f"[{name}]" in out
        for key in section.annotation.model_fields:  # type: ignore[union-attr]
            assert f"  {key} = " in out or f"[{name}.{key}]" in out


def test_what_is_wrong_and_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "[http]\nport = -1\n[files]\nroot = 'x'\n")
    assert main(["check-config", path]) == 78
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        f"{path}: line 4: files.root: unknown setting; check its spelling and section",
        f"{path}: line 2: http.port: Input should be greater than or equal to 0, got -1",
    ]


def test_for_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", "--json", write(tmp_path, GOOD)]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["ok"] is True
    assert {"port": 5234, "host": "127.0.0.1"}.items() <= data["settings"]["http"].items()
    path = write(tmp_path, "[http]\nport = -1\n")
    assert main(["check-config", path, "--json"]) == 78
    data = json.loads(capsys.readouterr().out)
    assert data["ok"] is False
    assert data["problems"] == [
        {"line": 2, "setting": "http.port", "message": "Input should be greater than or equal to 0, got -1"}
    ]


@pytest.mark.parametrize("text", ["[http\n", "port == 3\n"])
def test_a_file_that_is_not_toml(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert main(["check-config", "--json", write(tmp_path, text)]) == 78
    data = json.loads(capsys.readouterr().out)
    assert data["problems"] == []
    assert "line 1" in data["message"]

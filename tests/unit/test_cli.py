"""The command line: spellings, exit statuses, and nothing heavy imported for nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jfwriter import __version__, cli
from jfwriter.errors import SettingsError


@pytest.mark.parametrize("word", ["-h", "--help", "help"])
def test_help_names_all_commands(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([word]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in cli.COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"jfwriter {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "usage: jfwriter COMMAND"),
        (["fly"], "unknown command 'fly'"),
        (["tcp://dcu:5400"], "`jfwriter run ...`"),
        (["-R", "/data", "tcp://dcu:5400"], "`jfwriter run ...`"),
        (["run"], "no address to receive from"),
        (["run", "--nonsense", "tcp://a:1"], "unrecognized arguments: --nonsense"),
        (["run", "--http=1", "tcp://a:1"], "unrecognized arguments: --http"),
        (["run", "-H", "70000", "tcp://a:1"], "expected a whole number from 0 to 65535"),
        (["run", "-w", "0", "tcp://a:1"], "expected a whole number from 1"),
        (["run", "dcu:5400"], "is no ZeroMQ address"),
        (["check-config"], "FILE"),
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("given", "spelled"),
    [
        (["--http_port=5234"], ["--http-port=5234"]),
        (["--http_port", "5234"], ["--http-port", "5234"]),
        (["--root_dir=/a_b"], ["--root-dir=/a_b"]),
        (["-R", "/a_b", "-H5234"], ["-R", "/a_b", "-H5234"]),
        (["--", "--a_b"], ["--", "--a_b"]),
    ],
)
def test_underscore_and_hyphen_are_alike(given: list[str], spelled: list[str]) -> None:
    assert cli.one_spelling(given) == spelled


def test_errors_that_refuse_the_start_have_their_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from jfwriter.commands import run

    def refuse(_: object) -> int:
        raise SettingsError("a.toml: one\na.toml: two")

    monkeypatch.setattr(run, "main", refuse)
    assert cli.main(["run"]) == 78
    assert capsys.readouterr().err == "jfwriter run: a.toml: one\njfwriter run: a.toml: two\n"


def test_an_interrupt_has_the_shell_s_status(monkeypatch: pytest.MonkeyPatch) -> None:
    from jfwriter.commands import run

    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "main", interrupted)
    assert cli.main(["run"]) == 130


@pytest.mark.parametrize("arguments", ["--help", "run --help", "check-config --help", "run"])
def test_help_and_usage_errors_import_nothing_heavy(arguments: str) -> None:
    code = (
        "import sys\n"
        "from jfwriter.cli import main\n"
        f"main({arguments.split()!r})\n"
        "print(sorted({'numba', 'h5py', 'zmq', 'aiohttp'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"

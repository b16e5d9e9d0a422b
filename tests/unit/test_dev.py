"""The set-up script: what it installs when, and what it says where that cannot work."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`dev.py` for a project in `tmp_path`."""
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    venv = tmp_path / ".venv"
    places = {"ROOT": tmp_path, "VENV": venv, "PYTHON": venv / "bin" / "python", "STAMP": venv / "stamp.json"}
    for name, place in places.items():
        monkeypatch.setattr(module, name, place)
    return module


@pytest.fixture
def commands(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What would have been run; a call of venv leaves an interpreter behind."""
    seen: list[tuple[str, ...]] = []

    def run(*command: str | Path) -> int:
        seen.append(tuple(str(part) for part in command))
        if "venv" in seen[-1]:
            dev.PYTHON.parent.mkdir(parents=True)
            dev.PYTHON.write_text("")
        return 0

    monkeypatch.setattr(dev, "run", run)
    monkeypatch.setattr(dev, "has_pip", lambda: True)
    return seen


def installs(commands: list[tuple[str, ...]]) -> list[str]:
    return [command[-1] for command in commands if "install" in command]


def test_installs_once_and_again_when_the_project_changed(
    dev: ModuleType, commands: list[tuple[str, ...]]
) -> None:
    dev.set_up()
    dev.set_up()
    assert installs(commands) == ["."]
    dev.set_up("test")
    dev.set_up("lint")
    dev.set_up("test")
    dev.set_up()
    assert installs(commands) == [".", ".[test]", ".[lint,test]"]
    (dev.ROOT / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    dev.set_up("test")
    assert installs(commands)[3:] == [".[test]"]
    assert len([command for command in commands if "venv" in command]) == 1


def test_a_lost_interpreter_means_a_new_environment(dev: ModuleType, commands: list[tuple[str, ...]]) -> None:
    dev.set_up()
    dev.PYTHON.unlink()
    dev.PYTHON.parent.rmdir()
    dev.set_up()
    assert installs(commands) == [".", "."]


def test_a_damaged_stamp_means_installing_again(dev: ModuleType, commands: list[tuple[str, ...]]) -> None:
    dev.set_up()
    dev.STAMP.write_text("{")
    dev.set_up()
    assert installs(commands) == [".", "."]
    assert json.loads(dev.STAMP.read_text())["extras"] == []


def find_spec(*present: str) -> object:
    return lambda name: object() if name in present else None


def test_without_ensurepip_the_outer_pip_installs(
    dev: ModuleType, commands: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev.importlib.util, "find_spec", find_spec("pip"))
    monkeypatch.setattr(dev, "has_pip", lambda: False)
    dev.set_up()
    assert "--without-pip" in commands[0]
    assert commands[1][:5] == (sys.executable, "-m", "pip", "--python", str(dev.PYTHON))


def test_without_any_pip_it_says_what_to_install(
    dev: ModuleType,
    commands: list[tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(dev.importlib.util, "find_spec", find_spec())
    assert dev.main(["demo"]) == 1
    assert "apt-get install python3-venv" in capsys.readouterr().err
    assert commands == []


def test_a_failed_installation_is_tried_again(
    dev: ModuleType, commands: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = dev.run
    monkeypatch.setattr(dev, "run", lambda *command: good(*command) + ("install" in command))
    assert dev.main(["demo"]) == 1
    assert dev.main(["demo"]) == 1
    assert len(installs(commands)) == 2


def test_all_names_what_failed(
    dev: ModuleType,
    commands: list[tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = dev.run
    monkeypatch.setattr(dev, "run", lambda *command: good(*command) + ("demo" in command))
    assert dev.main(["all"]) == 1
    assert "FAILED: demo" in capsys.readouterr().out
    assert "pytest" in commands[-1]


def test_wrong_usage_prints_the_help() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "dev.py"), "nothing"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "python3 dev.py demo" in done.stdout

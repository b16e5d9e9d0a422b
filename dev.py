#!/usr/bin/env python3
"""Set up, try and test jfwriter; needs Python 3.11 or newer, a package index, and nothing else.

    python3 dev.py demo [OPTIONS]       simulator and writer on this machine, a look at the files, the end
    python3 dev.py test [PYTEST ARGS]   all tests
    python3 dev.py check                ruff, mypy --strict, import contracts
    python3 dev.py docs                 make the generated pages of docs/ anew
    python3 dev.py all                  check, demo and test; says at the end which of them failed
    python3 dev.py run ARGS             any jfwriter command, e.g. `python3 dev.py run simulate --help`

The first call makes `.venv` beside this file and installs the project there; later calls install again
only when pyproject.toml or the Python version changed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.json"

NO_VENV = """\
This Python has neither ensurepip nor pip, so no virtual environment can be filled.
  Debian, Ubuntu:  apt-get install python3-venv
  Fedora, RHEL:    dnf install python3-pip
Or make {venv} by other means (virtualenv, uv venv --seed), then call this again."""

NO_INSTALL = """\
Installing failed; the lines above say why. Usual causes: no package index within reach (behind a proxy, set
HTTPS_PROXY or configure pip), or no wheel of a dependency for this Python ({version}) on this machine."""


class SetupError(Exception):
    """The environment cannot be made; the text says what to do."""


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def run(*command: str | Path) -> int:
    """Run a command in the project's root with a clean environment for Python and pip; its exit status."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    environment.pop("PYTHONHOME", None)
    environment.pop("PYTHONPATH", None)
    return subprocess.run([str(part) for part in command], cwd=ROOT, env=environment, check=False).returncode


def fingerprint() -> str:
    """Changes when the environment has to be installed again."""
    parts = (str(ROOT), sys.version, (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def installed_extras() -> set[str] | None:
    """Extras that the environment holds for the present fingerprint; None: there is no such environment."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if stamp.get("fingerprint") != fingerprint() or not PYTHON.exists():
        return None
    return set(stamp.get("extras", []))


def make_environment() -> list[str]:
    """Make `.venv` if it is not there or its interpreter is gone; the pip command that fills it."""
    outside_pip = [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    if not PYTHON.exists():
        say("Making .venv")
        with_pip = importlib.util.find_spec("ensurepip") is not None
        if not with_pip and importlib.util.find_spec("pip") is None:
            raise SetupError(NO_VENV.format(venv=VENV.name))
        options = () if with_pip else ("--without-pip",)
        if run(sys.executable, "-m", "venv", "--clear", *options, VENV) != 0:
            raise SetupError(f"{VENV.name} could not be made; the lines above say why")
    return [str(PYTHON), "-m", "pip"] if has_pip() else outside_pip


def has_pip() -> bool:
    probe = [str(PYTHON), "-c", "import pip"]
    return subprocess.run(probe, stderr=subprocess.DEVNULL, check=False).returncode == 0


def set_up(*extras: str) -> None:
    """See to it that `.venv` holds the project and `extras`. Raises SetupError."""
    present = installed_extras()
    if present is not None and present.issuperset(extras):
        return
    pip = make_environment()
    wanted = sorted({*extras, *(present or ())})
    target = f".[{','.join(wanted)}]" if wanted else "."
    say(f"Installing jfwriter{target[1:]} into .venv (first time: a minute or two)")
    quiet = () if sys.stdout.isatty() else ("--quiet",)
    if run(*pip, "install", "--prefer-binary", *quiet, "--editable", target) != 0:
        raise SetupError(NO_INSTALL.format(version=sys.version.split()[0]))
    STAMP.write_text(json.dumps({"fingerprint": fingerprint(), "extras": wanted}), encoding="utf-8")


def demo(arguments: Sequence[str]) -> int:
    set_up()
    say("Demo")
    return run(PYTHON, "-m", "jfwriter", "demo", *arguments)


def jfwriter(arguments: Sequence[str]) -> int:
    set_up()
    return run(PYTHON, "-m", "jfwriter", *arguments)


ALL_TESTS = ("-n", "auto", "--maxprocesses", "4", "--dist", "loadfile")
"""On all cores, the tests of a file in one process: they share a daemon."""


def test(arguments: Sequence[str]) -> int:
    set_up("test")
    say("Tests")
    return run(PYTHON, "-m", "pytest", *(arguments or ALL_TESTS))


def check(arguments: Sequence[str]) -> int:
    if arguments:
        raise SetupError("check takes no arguments")
    set_up("lint")
    tools: tuple[tuple[str, ...], ...] = (
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("lint-imports",),
    )
    failed = []
    for tool, *options in tools:
        line = shlex.join([tool, *options])
        say(line)
        if run(PYTHON.parent / tool, *options) != 0:
            failed.append(line)
    if failed:
        say(f"check: FAILED: {', '.join(failed)}")
    return 1 if failed else 0


def docs(arguments: Sequence[str]) -> int:
    if arguments:
        raise SetupError("docs takes no arguments")
    set_up()
    return run(PYTHON, ROOT / "docs" / "generate.py")


def everything(arguments: Sequence[str]) -> int:
    steps: dict[str, Callable[[Sequence[str]], int]] = {"check": check, "demo": demo, "test": test}
    codes = {name: step(arguments if name == "test" else ()) for name, step in steps.items()}
    failed = [name for name, code in codes.items() if code != 0]
    say(f"FAILED: {', '.join(failed)}" if failed else f"all passed: {', '.join(codes)}")
    return 1 if failed else 0


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "demo": demo,
    "test": test,
    "check": check,
    "docs": docs,
    "all": everything,
    "run": jfwriter,
}


def main(arguments: Sequence[str]) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 said here, before pip says it in forty lines
        print(f"jfwriter needs Python 3.11 or newer, this is {sys.version.split()[0]}", file=sys.stderr)
        return 2
    if not arguments or arguments[0] not in COMMANDS:
        print(__doc__)
        return 0 if arguments and arguments[0] in {"-h", "--help"} else 2
    try:
        return COMMANDS[arguments[0]](arguments[1:])
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

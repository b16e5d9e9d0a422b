"""The units say what the daemon needs, and systemd takes them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from jfwriter.commands.run import make_parser
from jfwriter.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = ("jfwriter.service", "jfwriter@.service")
MAX_EXPOSURE = 1.4


def values(unit: str, name: str) -> list[str]:
    text = (DEPLOY / unit).read_text(encoding="utf-8")
    return re.findall(rf"^{re.escape(name)}=(.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Type", "notify"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("CapabilityBoundingSet", ""),
        ("ReadWritePaths", "/data"),
        ("PrivateMounts", "yes"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
        ("UMask", "0027"),
        ("Restart", "on-failure"),
        ("MemoryDenyWriteExecute", None),
    ],
)
def test_what_must_be_set(unit: str, name: str, value: str | None) -> None:
    assert values(unit, name) == ([] if value is None else [value])


@pytest.mark.parametrize("unit", UNITS)
def test_times_fit_the_settings(unit: str) -> None:
    service = Settings().service
    assert int(values(unit, "TimeoutStopSec")[0]) > service.shutdown_deadline_s + 10
    assert int(values(unit, "WatchdogSec")[0]) >= 10


@pytest.mark.parametrize("unit", UNITS)
def test_credentials_are_named_as_the_settings_do(unit: str) -> None:
    """Off until the files are made: a unit with a credential that is not there does not start."""
    text = (DEPLOY / unit).read_text(encoding="utf-8")
    names = re.findall(r"^#LoadCredential=([^:]+):/etc/jfwriter/\1$", text, re.MULTILINE)
    page = (DEPLOY.parent / "docs" / "how-to" / "secure.md").read_text(encoding="utf-8")
    assert names == ["http-token", "curve-key"]
    for name in names:
        assert f'"credential:{name}"' in page
        assert f"LoadCredential={name}:/etc/jfwriter/{name}" in page


@pytest.mark.parametrize("unit", UNITS)
def test_the_command_is_one_that_the_program_takes(unit: str) -> None:
    program, command, *options = values(unit, "ExecStart")[0].split()
    assert (Path(program).name, command) == ("jfwriter", "run")
    make_parser().parse_args(options)


def test_the_units_differ_in_their_name_only() -> None:
    one, several = ((DEPLOY / unit).read_text(encoding="utf-8") for unit in UNITS)
    directives = [line for line in several.splitlines() if line and not line.startswith("#")]
    single = [line.replace(" %i:", ":").replace("/%i.toml", "/jfwriter.toml") for line in directives]
    assert single == [line for line in one.splitlines() if line and not line.startswith("#")]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_takes_it(unit: str, tmp_path: Path) -> None:
    text = (DEPLOY / unit).read_text(encoding="utf-8")
    copy = tmp_path / unit
    copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False
    )
    if "Failed to" in done.stderr and "manager" in done.stderr:
        pytest.skip(done.stderr)
    assert unit not in done.stderr, done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_exposure() -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(DEPLOY / UNITS[0])],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"Overall exposure level .*: ([0-9.]+)", done.stdout)
    if found is None:
        pytest.skip("this systemd cannot tell: " + done.stderr)
    assert float(found[1]) <= MAX_EXPOSURE


def test_the_container_runs_without_privileges_and_stops_in_good_order() -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    final = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER jfwriter$", final, re.MULTILINE)
    assert re.search(r"^STOPSIGNAL SIGTERM$", final, re.MULTILINE)
    assert 'ENTRYPOINT ["jfwriter"]' in final

"""Options of `jfwriter run` and the configuration file under them."""

from __future__ import annotations

from pathlib import Path

import pytest

from jfwriter.cli import one_spelling
from jfwriter.commands.run import make_parser, settings_from
from jfwriter.errors import SettingsError, UsageError
from jfwriter.settings import Settings

ADDRESS = "tcp://dcu:5400"


def parse(*arguments: str) -> Settings:
    return settings_from(one_spelling(arguments))


@pytest.mark.parametrize(
    "spelling",
    [
        ["-H5234"], ["-H", "5234"], ["--http_port=5234"], ["--http_port", "5234"], ["--http-port=5234"],
        ["--http-port", "5234"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("address_first", [True, False])
def test_all_spellings_of_an_option(spelling: list[str], *, address_first: bool) -> None:
    arguments = [ADDRESS, *spelling] if address_first else [*spelling, ADDRESS]
    settings = parse(*arguments)
    assert settings.http.port == 5234
    assert settings.input.addresses == (ADDRESS,)


def test_an_old_start_line() -> None:
    settings = parse("-R", "/data", "-H5234", "-r5500", "-f5600", "-w", "200", "-W2000", "-v", ADDRESS)
    assert settings.files.root_dir == "/data"
    assert settings.http.port == 5234
    assert settings.republish.port == 5500
    assert settings.republish.watermark_messages == 2000
    assert settings.announce.port == 5600
    assert settings.input.watermark_messages == 200
    assert settings.service.log_level == "debug"


def test_the_long_names_of_the_old_start_line() -> None:
    settings = parse(
        "--root_dir=/data", "--http_port=1", "--zmq_repub_port=2", "--zmq_file_port=3", "--rcv_watermark=4",
        "--repub_watermark=5", "--verbose", ADDRESS,
    )  # fmt: skip
    assert (settings.files.root_dir, settings.http.port, settings.republish.port) == ("/data", 1, 2)
    assert (settings.announce.port, settings.input.watermark_messages) == (3, 4)
    assert settings.republish.watermark_messages == 5


@pytest.mark.parametrize("spelling", [["--n-writers", "2"], ["--n_writers=2"]])
def test_the_number_of_writers(spelling: list[str]) -> None:
    assert parse("-R", "/data", *spelling, ADDRESS).files.n_writers == 2


def test_the_defaults_are_those_of_the_settings() -> None:
    assert parse(ADDRESS) == Settings(input={"addresses": (ADDRESS,)})  # type: ignore[arg-type]


def test_several_addresses_in_any_place() -> None:
    settings = parse("tcp://a:1", "-H", "1", "tcp://b:2", "ipc:///run/x")
    assert settings.input.addresses == ("tcp://a:1", "tcp://b:2", "ipc:///run/x")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "w.toml"
    path.write_text(
        '[input]\naddresses = ["tcp://file:1"]\n[http]\nport = 7\nhost = "::1"\n[files]\nsync = false\n'
    )
    return path


def test_the_file_alone(config: Path) -> None:
    settings = parse("--config", str(config))
    assert settings.input.addresses == ("tcp://file:1",)
    assert (settings.http.port, settings.files.sync) == (7, False)


def test_an_option_wins_over_the_file_and_leaves_the_rest(config: Path) -> None:
    settings = parse(f"--config={config}", "-H8", ADDRESS)
    assert settings.input.addresses == (ADDRESS,)
    assert (settings.http.port, settings.http.host, settings.files.sync) == (8, "::1", False)


def test_port_0_is_a_port(config: Path) -> None:
    assert parse("--config", str(config), "-H0").http.port == 0


def test_no_address_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "empty.toml"
    path.touch()
    with pytest.raises(UsageError, match="no address"):
        parse("--config", str(path))


def test_a_wrong_file(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text("\n[http]\nport = 'x'\n")
    with pytest.raises(SettingsError, match="line 3"):
        parse("--config", str(path), ADDRESS)


def test_every_option_is_explained() -> None:
    assert all(action.help for action in make_parser()._actions)

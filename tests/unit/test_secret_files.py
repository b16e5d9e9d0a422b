"""A secret that others can read, that is none, or that would keep the process waiting, is not taken."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import zmq.auth

from jfwriter.errors import SettingsError
from jfwriter.secret_files import curve_secret_of, read_secret, token_of
from jfwriter.settings import load, parse

TOKEN = "0123456789abcdef-token"


def secret(path: Path, text: str = TOKEN, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_for_its_owner_alone(tmp_path: Path, mode: int) -> None:
    assert read_secret(str(secret(tmp_path / "token", mode=mode))) == TOKEN


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o610, 0o602])
def test_a_file_that_others_reach(tmp_path: Path, mode: int) -> None:
    path = secret(tmp_path / "token", mode=mode)
    with pytest.raises(
        SettingsError, match=f"mode {mode:04o} lets others at the secret; call: chmod 600"
    ) as error:
        read_secret(str(path))
    assert TOKEN not in str(error.value)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name, text in (("pipe", "no regular file"), (".", "no regular file"), ("none", "cannot be read")):
        with pytest.raises(SettingsError, match=text):
            read_secret(str(tmp_path / name))
    with pytest.raises(SettingsError, match="cannot be read"):
        read_secret("a\0b")


def test_what_is_no_text_or_too_much(tmp_path: Path) -> None:
    path = secret(tmp_path / "token", "Zähler")
    with pytest.raises(SettingsError, match="expected ASCII"):
        read_secret(str(path))
    with pytest.raises(SettingsError, match="expected a short secret"):
        read_secret(str(secret(path, "x" * 100_000)))


@pytest.mark.parametrize(
    "text", ["", "short", "two tokens in a line", "x" * 15, f"{TOKEN}\n{TOKEN}", "ö" * 20]
)
def test_what_is_no_token(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="expected"):
        token_of(str(secret(tmp_path / "token", text)))


def test_a_credential_of_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its access control list shows as a mode for the group; the directory is the service's alone."""
    secret(tmp_path / "http-token", f"{TOKEN}\n", 0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert token_of("credential:http-token") == TOKEN
    with pytest.raises(SettingsError, match="cannot be read"):
        token_of("credential:other")
    for name in ("", "../token", "a/b", "."):
        with pytest.raises(SettingsError, match="expected credential:NAME"):
            token_of(f"credential:{name}")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(SettingsError, match="the unit needs LoadCredential=http-token:"):
        token_of("credential:http-token")


def test_the_line_of_an_unreadable_secret_is_told(tmp_path: Path) -> None:
    config = tmp_path / "writer.toml"
    secret(tmp_path / "token", mode=0o644)
    config.write_text(f'[http]\nport = 1\n# who may\ntoken_file = "{tmp_path / "token"}"\n')
    with pytest.raises(SettingsError) as error:
        load(config)
    assert f"{config}: line 4: http.token_file: {tmp_path / 'token'}: mode 0644" in str(error.value)
    config.write_text('[curve]\nsecret_key_file = "/none"\n')
    with pytest.raises(SettingsError, match=r"line 2: curve.secret_key_file: /none: cannot be read"):
        load(config)


def test_check_config_elsewhere_does_not_look_for_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    settings = parse({"http": {"token_file": "credential:http-token"}}, "x")
    assert settings.http.token_file == "credential:http-token"


def test_certificates_of_pyzmq_and_bare_keys(tmp_path: Path) -> None:
    _, path = zmq.auth.create_certificates(tmp_path, "writer")
    Path(path).chmod(0o600)
    _, key = zmq.auth.load_certificate(path)
    assert key is not None
    assert curve_secret_of(path) == key.decode()
    assert curve_secret_of(str(secret(tmp_path / "bare", f"{key.decode()}\n"))) == key.decode()
    for text in (key.decode()[:-1], f'public-key = "{key.decode()}"', ""):
        with pytest.raises(SettingsError, match="expected a secret CURVE key"):
            curve_secret_of(str(secret(tmp_path / "none", text)))


KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"http": {"token_for_reading": True}}, "http: token_for_reading needs http.token_file"),
        ({"republish": {"curve": True}}, "republish.curve needs a key"),
        ({"announce": {"curve": True}}, "announce.curve needs a key"),
        ({"curve": {"allowed_keys": ["x"]}}, "curve.allowed_keys"),
        ({"input": {"addresses": ["tcp://a:1"], "curve_server_keys": [KEY, KEY]}}, "2 keys for 1 addresses"),
        ({"input": {"curve_server_keys": [KEY[:-1]]}}, "curve_server_keys"),
    ],
)
def test_settings_that_cannot_work(table: dict[str, object], text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        parse(table, "x")

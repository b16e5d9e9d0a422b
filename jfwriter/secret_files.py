"""Files that hold a secret (a token, a key): read only if nobody else can, and never shown.

A place is a path, or `credential:NAME` for what systemd hands over with `LoadCredential=NAME:/path`
(systemd.exec(5), "Credentials"): then it stands in `$CREDENTIALS_DIRECTORY`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from jfwriter.errors import SettingsError

CREDENTIAL = "credential:"
MAX_BYTES = 64 << 10
MIN_TOKEN_CHARACTERS = 16

Z85_KEY = r"[0-9A-Za-z.:+=^!/*?&<>()\[\]{}@%$#-]{40}"
"""A CURVE key as text (ZeroMQ RFC 32)."""
_SECRET_KEY = re.compile(rf"""^\s*secret-key\s*=\s*["']?({Z85_KEY})["']?\s*$""", re.MULTILINE)
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_CREDENTIAL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def read_secret(place: str) -> str:
    """The text of the file at `place`. Raises SettingsError saying why it is not taken, without the text."""
    if place.startswith(CREDENTIAL):
        path = _credential(place.removeprefix(CREDENTIAL))
        # systemd's own: for the service alone; an access control list shows as a mode for the group.
        forbidden = 0o007
    else:
        path, forbidden = Path(place), 0o077
    try:
        # Not blocking: a pipe that nobody writes to would keep the process here.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise SettingsError(f"{path}: cannot be read: {why}") from None
    try:
        _check(os.fstat(descriptor), path, forbidden)
        return os.read(descriptor, MAX_BYTES).decode("ascii")
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{path}: expected ASCII text") from None
    finally:
        os.close(descriptor)


def token_of(place: str) -> str:
    """The bearer token in the file at `place` (RFC 6750, section 2.1). Raises SettingsError."""
    token = read_secret(place).strip()
    if len(token) < MIN_TOKEN_CHARACTERS or _TOKEN.fullmatch(token) is None:
        raise SettingsError(
            f"{place}: expected one token of at least {MIN_TOKEN_CHARACTERS} letters, digits and -._~+/ ; "
            f"make one with: jfwriter keys token FILE"
        )
    return token


def curve_secret_of(place: str) -> str:
    """The secret CURVE key (Z85) in the file at `place`: a certificate of pyzmq or CZMQ, or the key alone.

    Raises SettingsError.
    """
    text = read_secret(place)
    found = _SECRET_KEY.search(text) or re.fullmatch(rf"\s*({Z85_KEY})\s*", text)
    if found is None:
        raise SettingsError(f"{place}: expected a secret CURVE key, as made with: jfwriter keys curve FILE")
    return found[1]


def _credential(name: str) -> Path:
    if _CREDENTIAL_NAME.fullmatch(name) is None:
        raise SettingsError(f"{CREDENTIAL}{name}: expected {CREDENTIAL}NAME")
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise SettingsError(
            f"{CREDENTIAL}{name}: no credentials here; the unit needs LoadCredential={name}:/path/to/file"
        )
    return Path(directory) / name


def _check(status: os.stat_result, path: Path, forbidden: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise SettingsError(f"{path}: is no regular file")
    if status.st_size > MAX_BYTES:
        raise SettingsError(f"{path}: has {status.st_size} bytes, expected a short secret")
    mode = stat.S_IMODE(status.st_mode)
    if mode & forbidden:
        raise SettingsError(f"{path}: mode {mode:04o} lets others at the secret; call: chmod 600 {path}")
    if os.geteuid() not in {0, status.st_uid} and status.st_uid != 0:
        raise SettingsError(
            f"{path}: belongs to user {status.st_uid}, who can change it; expected root or me"
        )


def _checked_by(read: Callable[[str], str]) -> AfterValidator:
    """The secret is looked at when the settings are read, so that the error names the line of the setting;
    a credential only where systemd has put it, as `jfwriter check-config` runs elsewhere."""

    def check(place: str) -> str:
        is_elsewhere = place.startswith(CREDENTIAL) and "CREDENTIALS_DIRECTORY" not in os.environ
        if place and not is_elsewhere:
            try:
                read(place)
            except SettingsError as error:
                raise ValueError(str(error)) from None
        return place

    return AfterValidator(check)


CurveSecretFile = Annotated[str, _checked_by(curve_secret_of)]
"""Place of a secret CURVE key; empty: none."""
TokenFile = Annotated[str, _checked_by(token_of)]
"""Place of a bearer token; empty: none."""

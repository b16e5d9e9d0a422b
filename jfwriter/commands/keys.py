"""`jfwriter keys`: secrets for the settings, in files that nobody else can read."""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from jfwriter.errors import StorageUnavailable
from jfwriter.printable import printable

TOKEN_BYTES = 32


def main(argv: Sequence[str]) -> int:
    """Raises StorageUnavailable if the file cannot be made; argparse raises SystemExit."""
    options = make_parser().parse_args(list(argv))
    if options.kind == "token":
        _write(options.file, secrets.token_urlsafe(TOKEN_BYTES) + "\n")
        print(printable(f"token: {options.file}, for http.token_file"))
        return 0
    from jfwriter.daemon.curve import new_key_pair

    public, secret = new_key_pair()
    _write(options.file, _certificate(public, secret))
    print(printable(f"secret key: {options.file}, for curve.secret_key_file"))
    print(f"public key: {public}")
    return 0


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jfwriter keys",
        description="Make a secret and write it into a new file that only its owner can read: a CURVE key "
        "pair for encrypted sockets (its public key is printed), or a token for HTTP.",
        allow_abbrev=False,
    )
    parser.add_argument("kind", choices=("curve", "token"), help="what to make")
    parser.add_argument("file", type=Path, metavar="FILE", help="file to make; it must not be there yet")
    return parser


def _certificate(public: str, secret: str) -> str:
    """The form that pyzmq's `zmq.auth.load_certificate` and CZMQ read (ZeroMQ RFC 4, ZPL)."""
    return f'metadata\ncurve\n    public-key = "{public}"\n    secret-key = "{secret}"\n'


def _write(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise StorageUnavailable(f"{path}: cannot be made: {error.strerror or error}") from error

"""`jfwriter run`: the daemon."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from jfwriter.errors import UsageError
from jfwriter.settings import Settings, load

_ADDRESS = re.compile(r"(tcp|ipc)://\S+")


def main(argv: Sequence[str]) -> int:
    """Raises RefuseToStart; argparse raises SystemExit."""
    settings = settings_from(argv)
    # Imported late: this compiles the kernels, which `--help` and usage errors need not wait for.
    from jfwriter.daemon.run import serve

    # A terminal that goes away sends SIGHUP too: then the writer ends, in good order.
    may_reload = has_config(argv) and not sys.stderr.isatty()
    return serve(settings, (lambda: settings_from(argv)) if may_reload else None)


def has_config(argv: Sequence[str]) -> bool:
    return make_parser().parse_intermixed_args(list(argv)).config is not None


def settings_from(argv: Sequence[str]) -> Settings:
    """The configuration file, if one is named, with the options over it.

    Raises SettingsError, or UsageError when no address is named anywhere.
    """
    options = make_parser().parse_intermixed_args(list(argv))
    settings = load(options.config) if options.config is not None else Settings()
    changes: dict[str, dict[str, object]] = {
        "input": {"addresses": tuple(options.address) or None, "watermark_messages": options.rcv_watermark},
        "files": {"root_dir": options.root_dir, "n_writers": options.n_writers},
        "http": {"port": options.http_port},
        "republish": {"port": options.zmq_repub_port, "watermark_messages": options.repub_watermark},
        "announce": {"port": options.zmq_file_port},
        "service": {"log_level": "debug" if options.verbose else None},
    }
    settings = settings.model_copy(
        update={name: _changed(getattr(settings, name), values) for name, values in changes.items()}
    )
    if not settings.input.addresses:
        raise UsageError(
            "no address to receive from: name one, e.g. tcp://dcu:5400, "
            "or set input.addresses in --config FILE"
        )
    return settings


def make_parser() -> argparse.ArgumentParser:
    """The options of `jfwriter run`; `docs/reference/command-line.md` lists them."""
    parser = argparse.ArgumentParser(
        prog="jfwriter run",
        description="Receive images from the ZeroMQ PUSH socket at ADDRESS and write them, until SIGTERM.",
        epilog="Long options may be written with - or _, and as `--name value` or `--name=value`. "
        "An option wins over the configuration file.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("address", nargs="*", type=_address, metavar="ADDRESS",
        help="where the sender's socket is, e.g. tcp://dcu:5400; several may be named")  # fmt: skip
    add("-R", "--root-dir", metavar="DIR",
        help="directory that all file prefixes are relative to (default: where started)")  # fmt: skip
    add("--n-writers", type=_n_writers, metavar="N",
        help="writers that share this detector's runs, where several do (default: not known)")  # fmt: skip
    add("-H", "--http-port", type=_port, metavar="PORT",
        help="HTTP status interface; 0 takes a free port (default: off)")  # fmt: skip
    add("-r", "--zmq-repub-port", type=_port, metavar="PORT",
        help="PUSH socket that sends every message on; 0 takes a free port (default: off)")  # fmt: skip
    add("-f", "--zmq-file-port", type=_port, metavar="PORT",
        help="PUB socket that announces finalized files; 0 takes a free port (default: off)")  # fmt: skip
    add("-w", "--rcv-watermark", type=_positive, metavar="N",
        help="receive watermark in messages (default: 100)")  # fmt: skip
    add("-W", "--repub-watermark", type=_positive, metavar="N",
        help="republish watermark in messages (default: 1000)")  # fmt: skip
    add("--config", type=Path, metavar="FILE",
        help="TOML file with all settings; `jfwriter check-config FILE` explains it")  # fmt: skip
    add("-v", "--verbose", action="store_true", help="log more")
    return parser


def _changed(section: BaseModel, values: dict[str, object]) -> BaseModel:
    """`section` with those of `values` that were given; argparse has checked them."""
    return section.model_copy(update={name: value for name, value in values.items() if value is not None})


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no ZeroMQ address; expected e.g. tcp://dcu:5400")
    return text


def _port(text: str) -> int:
    return _whole_number(text, 0, 65535)


def _n_writers(text: str) -> int:
    return _whole_number(text, 0, 1024)


def _positive(text: str) -> int:
    return _whole_number(text, 1, 2**31 - 1)


def _whole_number(text: str, least: int, most: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from {least} to {most}")
    return number

"""`jfwriter check-config`: what a configuration file means, or what is wrong with it and where."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel

from jfwriter.errors import SettingsError
from jfwriter.printable import printable_lines
from jfwriter.settings import Settings, load


def main(argv: Sequence[str]) -> int:
    """Exit status 0: the file is right; 78: it is not."""
    options = make_parser().parse_args(list(argv))
    try:
        settings = load(options.file)
    except SettingsError as error:
        if options.json:
            print(json.dumps(_failure(options.file, error), indent=2))
        else:
            print(printable_lines(str(error).splitlines()), file=sys.stderr)
        return error.exit_code
    if options.json:
        values = settings.model_dump(mode="json")
        print(json.dumps({"ok": True, "file": str(options.file), "settings": values}, indent=2))
    else:
        print(printable_lines(explanation(settings)))
    return 0


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jfwriter check-config",
        description="Say what a configuration file means, or what is wrong with it and in which line.",
        allow_abbrev=False,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="TOML file, as for `jfwriter run --config`")
    parser.add_argument("--json", action="store_true", help="for a program")
    return parser


def explanation(settings: Settings) -> Iterator[str]:
    """Every setting with its value, unit and meaning; what the file does not say is marked as default."""
    for name in type(settings).model_fields:
        yield from _section(f"[{name}]", getattr(settings, name))
    yield from _consequences(settings)


def _section(heading: str, section: BaseModel) -> Iterator[str]:
    """A table, and then those that stand in it."""
    yield f"{heading}  {_one_line(type(section).__doc__)}"
    name = heading.strip("[]")
    below: list[tuple[str, BaseModel]] = []
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if isinstance(value, BaseModel):
            below.append((f"[{name}.{key}]", value))
            continue
        if isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            below += [(f"[[{name}.{key}]]", part) for part in value]
            continue
        origin = "" if key in section.model_fields_set else "   (default)"
        yield f"  {key} = {_value(key, value)}{origin}"
        yield from textwrap.wrap(
            _one_line(field.description), 96, initial_indent=" " * 6, subsequent_indent=" " * 6
        )
    yield ""
    for heading_below, part in below:
        yield from _section(heading_below, part)


def _value(key: str, value: object) -> str:
    if value is None:
        return "not set"
    if key.endswith("_bytes") and isinstance(value, int) and value >= 1024:
        return f"{value} ({_binary(value)})"
    if key == "umask" and isinstance(value, int):
        return f"0o{value:03o}"
    if key.endswith("_s") and isinstance(value, float):
        return f"{value:g} s"
    return json.dumps(value)


def _binary(n_bytes: int) -> str:
    size = float(n_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:g} {unit}" if size == int(size) else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError("unreachable")


def _consequences(settings: Settings) -> Iterator[str]:
    """What no single setting says."""
    yield "In all:"
    sources = ", ".join(settings.input.addresses) or "no address here: `jfwriter run` needs one as argument"
    yield f"  receives from {sources}"
    yield f"  writes below {Path(settings.files.root_dir).absolute()}"
    for what, port, host in (
        ("sends every message on from", settings.republish.port, settings.republish.host),
        ("announces files at", settings.announce.port, settings.announce.host),
        ("answers HTTP at", settings.http.port, settings.http.host),
    ):
        if port is not None:
            yield f"  {what} {host} port {port or 'that is free'}"


def _failure(path: Path, error: SettingsError) -> dict[str, object]:
    problems = [dataclasses.asdict(problem) for problem in error.problems]
    return {"ok": False, "file": str(path), "message": str(error), "problems": problems}


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())

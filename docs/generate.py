"""Makes the generated pages of `docs/`: the settings, from `jfwriter/settings.py`, and the list of decisions.

Called by `python3 dev.py docs`; a test compares the result with the pages that are kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jfwriter.settings import Settings

DOCS = Path(__file__).parent

SETTINGS_HEAD = """\
# Settings

One TOML file, given with `--config`; a command-line option wins over it. Every section and every setting
may be left out. Unknown names, wrong types and values out of range are errors: `jfwriter check-config FILE`
names all of them at once, with the setting, what was expected and what stands there. Commented samples:
[jungfrau.toml](../../configs/jungfrau.toml), [eiger2.toml](../../configs/eiger2.toml).

This page is made from `jfwriter/settings.py` by `python3 dev.py docs`; edit that file instead.
"""

Schema = Mapping[str, Any]

RANGES = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}


def kind(schema: Schema) -> str:
    """Type and range of one setting, e.g. `integer, ≥ 1`."""
    if "anyOf" in schema:
        return " or ".join(kind(part) for part in schema["anyOf"] if part["type"] != "null")
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    if schema["type"] == "array":
        return f"array of {kind(schema['items'])}"
    name = {"string": "text", "boolean": "true, false"}.get(schema["type"]) or str(schema["type"])
    bounds = [form.format(schema[key]) for key, form in RANGES.items() if key in schema]
    return ", ".join([name, *bounds])


def default(schema: Schema) -> str:
    value = schema.get("default")
    return "not set" if value is None else f"`{json.dumps(value)}`"


def cell(text: str) -> str:
    """Text that stands in one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def section(heading: str, schema: Schema, definitions: Schema) -> Iterator[str]:
    """A table of settings, and one for each table that stands in it."""
    yield f"\n## {heading}\n"
    yield f"{cell(schema['description'])}\n"
    yield "| setting | value | default | meaning |"
    yield "|---|---|---|---|"
    below: list[tuple[str, Schema]] = []
    name = heading.strip("[]")
    for field, part in schema["properties"].items():
        if "$ref" in part:
            below.append((f"[{name}.{field}]", definition(part, definitions)))
        elif "oneOf" in part.get("items", {}):
            below += [
                (f"[[{name}.{field}]] of type {key}", definition({"$ref": reference}, definitions))
                for key, reference in part["items"]["discriminator"]["mapping"].items()
            ]
        else:
            required = field in schema.get("required", ())
            usual = "required" if required else default(part)
            yield f"| `{field}` | {kind(part)} | {usual} | {cell(part['description'])} |"
    for name_below, part in below:
        yield from section(name_below, part, definitions)


def definition(part: Schema, definitions: Schema) -> Schema:
    found: Schema = definitions[part["$ref"].rsplit("/", 1)[-1]]
    return found


def settings_page() -> str:
    """The whole page. Raises KeyError when a setting has no docstring."""
    schema = Settings.model_json_schema()
    lines = [SETTINGS_HEAD.rstrip("\n")]
    for name, part in schema["properties"].items():
        lines.extend(section(f"[{name}]", definition(part, schema["$defs"]), schema["$defs"]))
    return "\n".join(lines) + "\n"


def decisions_page() -> str:
    """List of the decision records with their titles."""
    lines = [
        "# Decisions",
        "",
        "Choices that somebody will ask about: what was decided, why, and what follows from it. Numbers are",
        "grouped by room; they do not say an order. This list is made by `python3 dev.py docs`.",
        "",
    ]
    for path in sorted((DOCS / "decisions").glob("[0-9]*.md")):
        title = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("#").strip()
        lines.append(f"- [{path.name[:4]}]({path.name}) {title}")
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "reference/settings.md": settings_page,
    "decisions/README.md": decisions_page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")

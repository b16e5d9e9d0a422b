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


def section(name: str, schema: Schema) -> Iterator[str]:
    yield f"\n## [{name}]\n"
    yield f"{schema['description']}\n"
    yield "| setting | value | default | meaning |"
    yield "|---|---|---|---|"
    for field, part in schema["properties"].items():
        yield f"| `{field}` | {kind(part)} | {default(part)} | {cell(part['description'])} |"


def settings_page() -> str:
    """The whole page. Raises KeyError when a setting has no docstring."""
    schema = Settings.model_json_schema()
    lines = [SETTINGS_HEAD.rstrip("\n")]
    for name, part in schema["properties"].items():
        lines.extend(section(name, schema["$defs"][part["$ref"].rsplit("/", 1)[-1]]))
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

"""Makes the generated pages of `docs/`: settings and HTTP from the code, and the list of decisions.

Called by `python3 dev.py docs`; a test compares the result with the pages that are kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jfwriter.daemon.openapi import description
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

HTTP_HEAD = """\
# HTTP

With `-H PORT` (`http.port`) the writer answers HTTP, on 127.0.0.1 unless `http.host` says otherwise. Without
`http.token_file` who reaches the port can cancel runs ([secure it](../how-to/secure.md)).

    curl -s http://127.0.0.1:5234/status
    curl -s -X POST http://127.0.0.1:5234/cancel
    curl -s -X POST -H "Authorization: Bearer $TOKEN" http://127.0.0.1:5234/cancel
    curl -s -o /dev/null -w '%{http_code}\\n' http://127.0.0.1:5234/health

GET never changes anything. Every error is JSON, `{"error": word, "message": text}`, without a path outside
the root (only what is not HTTP at all is answered with 400 and plain text); names of files are relative to the root. `/openapi.json` is the same description for programs
(OpenAPI 3.1).

`POST /cancel` answers when the run is finalized: its files stand under their final names, its outcome is
`cancelled`, and messages that still come of it are dropped and counted. The writer is ready for the next
start at once.

`/health` looks at the writer thread, at the root directory (there, writable, not full, the same one as at
the start) and at the run that is open; a run that was refused or has failed makes it 503 until that run
ends.

`/` is a page for a person: state, progress, rates, losses, last files, warnings. It needs nothing from
outside and asks `/status` once a second.

## Who is answered

What is refused is refused in this order, and counted in `jfwriter_http_refused_total` under its reason:

| status, `error` | reason | when |
|---|---|---|
| connection cut | `connections` | there are 2048 already, or a quarter of the descriptors that the process may have |
| connection cut | `too_slow` | a client took 20 s to send a request, or to take an answer |
| 400 | | no HTTP, more than 64 header fields, a field or line over 8190 bytes |
| 411 `length_required` | `body` | a body without `Content-Length` |
| 413 `too_large` | `body` | a body over 64 KiB |
| 421 `unknown_host` | `host` | `Host` is a name that is not the writer's: addresses, `localhost`, the machine's host name and `http.allowed_hosts` are (this keeps web pages out that have their name resolve to this machine) |
| 404 `not_found`, 405 `method_not_allowed` | | whoever asks |
| 403 `cross_site` | `cross_site` | a POST with the `Origin` of another site |
| 401 `unauthorized` | `token` | POST, or with `http.token_for_reading` anything but `/` and `/openapi.json`, without the token of `http.token_file` (`Authorization: Bearer TOKEN`) |

Of those who read, one is answered in each round of the event loop, in the order in which they came: a crowd waits, the images do
not, and neither does a cancellation.

Fields are always there; a value that does not exist is null. `state` is `idle` (no run), `writing`,
`finalizing` (the run has ended, its files are being brought to the disk; the next start is welcome) or
`draining` (the run was refused or has failed and its images are thrown away; or the writer is being
stopped).

This page is made from `jfwriter/daemon/status.py` by `python3 dev.py docs`; edit that file instead.

## Metrics

Counters count from the start of the process. Beside these there are the usual `process_…` metrics.

| metric | label | |
|---|---|---|
| `jfwriter_build_info` | `version` | always 1 |
| `jfwriter_state` | `state` | 1 for the present state, 0 for the others |
| `jfwriter_uptime_seconds` | | |
| `jfwriter_queue_bytes`, `jfwriter_byte_budget_bytes` | | what waits for the disk, and its limit |
| `jfwriter_oldest_image_age_seconds` | | how long the oldest waiting message has waited |
| `jfwriter_event_loop_lag_seconds` | | longest delay of the event loop lately |
| `jfwriter_receiving_paused`, `jfwriter_receiving_pauses_total` | | the byte budget is used up now; how often it was |
| `jfwriter_warnings` | | number of warnings in the status |
| `jfwriter_run_images_written`, `jfwriter_run_images_expected` | | of the latest run; 0 if not known |
| `jfwriter_input_connected` | `address` | 1 while a sender is connected |
| `jfwriter_messages_total` | `type` | messages that were decoded |
| `jfwriter_bad_messages_total` | `kind` | messages that were not |
| `jfwriter_ignored_fields_total` | | fields of a wrong type or value |
| `jfwriter_multipart_messages_total`, `jfwriter_broken_connections_total` | | refused before decoding |
| `jfwriter_images_received_total`, `jfwriter_images_written_total` | | |
| `jfwriter_images_dropped_total` | `reason` | images that came and were not written |
| `jfwriter_images_unexpected_total` | | images beyond the planned number, of finished runs; they are written |
| `jfwriter_quantities_left_out_total` | | values of messages that could not be stored as they were, of finished runs |
| `jfwriter_messages_dropped_total` | `reason` | the same for messages of every type |
| `jfwriter_written_bytes_total`, `jfwriter_files_closed_total` | | image data and data files written |
| `jfwriter_runs_total` | `outcome` | finished runs |
| `jfwriter_runs_refused_total` | `reason` | refused runs; also start messages that could not be decoded, by their kind |
| `jfwriter_runs_failed_total` | `reason` | runs that failed while they were written |
| `jfwriter_images_analysed_total`, `jfwriter_analysis_skipped_total` | | images analysed, and written without because too many waited, or the writer was behind |
| `jfwriter_analysis_waiting` | | images that wait for their analysis or are in it |
| `jfwriter_analysis_spots`, `jfwriter_analysis_hit_rate`, `jfwriter_analysis_indexing_rate`, `jfwriter_analysis_background_photons`, `jfwriter_analysis_saturated_pixels`, `jfwriter_analysis_error_pixels`, `jfwriter_analysis_roi_beam_pixels`, `jfwriter_analysis_roi_beam_sum` | | averages over the last 1000 images of the latest run; absent while no image tells |
| `jfwriter_http_refused_total` | `reason` | requests and connections that were [refused](#who-is-answered) |
| `jfwriter_failed_handshakes_total` | | connections to senders that were not made: the CURVE keys do not fit |
| `jfwriter_refused_connections_total` | `socket` | `republish`, `announce`: programs without the right CURVE key |
| `jfwriter_republished_total`, `jfwriter_not_republished_total` | | messages sent on, and those that nobody took |
| `jfwriter_announcements_total` | | |
| `jfwriter_notifications_total`, `jfwriter_notifications_failed_total` | | senders told of the end, or not reached |

The reasons are those of the [session](session.md), the kinds those of the [messages](messages/index.md).
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


def json_type(schema: Schema) -> str:
    """Type of a field of an answer, e.g. `array of text`; "or null" where it may be."""
    if "anyOf" in schema:
        return " or ".join(json_type(part) for part in schema["anyOf"])
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return "text" if name == "State" else f"[{name}](#{name.lower()})"
    if "prefixItems" in schema:
        return "pair of integers"
    if schema["type"] == "array":
        return f"array of {json_type(schema['items'])}"
    if schema["type"] == "object":
        return f"map of text to {json_type(schema['additionalProperties'])}"
    return {"string": "text", "boolean": "true, false"}.get(schema["type"]) or str(schema["type"])


def answer(name: str, schema: Schema) -> Iterator[str]:
    yield f"\n### {name}\n"
    yield f"{cell(schema['description'])}\n"
    yield "| field | value | meaning |"
    yield "|---|---|---|"
    for field, part in schema["properties"].items():
        yield f"| `{field}` | {json_type(part)} | {cell(part['description'])} |"


def http_page() -> str:
    """The HTTP interface, from its own OpenAPI description. Raises KeyError when a field has no docstring."""
    document: Any = description()
    lines = [HTTP_HEAD.rstrip("\n"), "\n## What can be asked\n", "| | | answers |", "|---|---|---|"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            replies = operation["responses"].items()
            known = [(code, reply["description"]) for code, reply in replies if code != "default"]
            codes = "; ".join(f"{code}: {text}" for code, text in known)
            lines.append(f"| `{method.upper()} {path}` | {operation['summary']} | {codes} |")
    lines.append("\n## The answers")
    schemas = document["components"]["schemas"]
    for name in sorted(set(schemas) - {"State"}, key=lambda name: (name != "Status", name)):
        lines.extend(answer(name, schemas[name]))
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
    "reference/http.md": http_page,
    "decisions/README.md": decisions_page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")

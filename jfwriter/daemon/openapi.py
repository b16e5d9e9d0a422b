"""The description of the HTTP interface (OpenAPI 3.1), made from the classes of the answers."""

from __future__ import annotations

import functools
from typing import Any, Literal

from pydantic import TypeAdapter

from jfwriter import __version__
from jfwriter.daemon.status import ErrorReply, Health, LastRun, Status

_REF = "#/components/schemas/{model}"


@functools.cache
def description() -> dict[str, object]:
    """The whole document, made once; not to be changed."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "jfwriter",
            "version": __version__,
            "summary": "Status and control of the writer",
            "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
        },
        "paths": {
            "/": {"get": _operation("page", "A page for a person", {200: ("The page", "text/html", None)})},
            "/status": {
                "get": _operation("status", "The state of the writer", {200: _reply("The state", Status)})
            },
            "/health": {
                "get": _operation(
                    "health",
                    "Whether the writer can write",
                    {
                        200: _reply("It can", Health),
                        503: _reply("It cannot; the message says why", ErrorReply),
                    },
                )
            },
            "/metrics": {
                "get": _operation("metrics", "Prometheus metrics", {200: ("The metrics", "text/plain", None)})
            },
            "/openapi.json": {
                "get": _operation(
                    "openapi", "This description", {200: ("The description", "application/json", None)}
                )
            },
            "/cancel": {
                "post": _operation(
                    "cancel",
                    "Close the open files with what they hold and be ready for the next run",
                    {
                        200: _reply("The run is finalized; its result", LastRun),
                        409: _reply("No run is open", ErrorReply),
                        503: _reply("The writer ended before the run was finalized", ErrorReply),
                    },
                )
            },
        },
        "components": {"schemas": _schemas()},
    }


_Reply = tuple[str, str, type | None]


def _reply(text: str, model: type) -> _Reply:
    return text, "application/json", model


def _operation(name: str, summary: str, replies: dict[int, _Reply]) -> dict[str, object]:
    every = {str(status): reply for status, reply in replies.items()}
    every["default"] = _reply("Any other error", ErrorReply)
    return {
        "operationId": name,
        "summary": summary,
        "responses": {status: _response(*reply) for status, reply in every.items()},
    }


def _response(text: str, media_type: str, model: type | None) -> dict[str, object]:
    schema: dict[str, object] = {"type": "string" if media_type.startswith("text/") else "object"}
    if model is not None:
        schema = {"$ref": _REF.format(model=model.__name__)}
    return {"description": text, "content": {media_type: {"schema": schema}}}


def _schemas() -> dict[str, Any]:
    answers: tuple[type, ...] = (Status, Health, LastRun, ErrorReply)
    adapters: list[tuple[type, Literal["serialization"], TypeAdapter[Any]]] = [
        (answer, "serialization", TypeAdapter(answer)) for answer in answers
    ]
    _, definitions = TypeAdapter.json_schemas(adapters, ref_template=_REF)
    return dict(definitions["$defs"])

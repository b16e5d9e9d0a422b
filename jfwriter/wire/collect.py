"""The fields of a message: where they stand, what was wrong with them, which ones are essential."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import NamedTuple, NoReturn

from jfwriter.errors import ProtocolError
from jfwriter.settings import LimitSettings
from jfwriter.wire import jsonlike
from jfwriter.wire.fields import Converter, plain_of
from jfwriter.wire.messages import FieldProblem
from jfwriter.wire.mismatch import Mismatch


class Problems:
    """The fields that were ignored, in the order of the message."""

    def __init__(self) -> None:
        self.found: list[FieldProblem] = []

    def add(self, name: str, mismatch: Mismatch) -> None:
        self.found.append(FieldProblem(name + mismatch.part, mismatch.expected, mismatch.got))

    def about(self, name: str) -> FieldProblem | None:
        return next(
            (p for p in self.found if p.field == name or p.field.startswith((f"{name}.", f"{name}["))), None
        )


def flatten(message: Mapping[object, object], limits: LimitSettings, problems: Problems) -> dict[str, object]:
    """The fields of the top level and, below them, those of `user_data`; without nulls.

    `user_data` itself comes as a JSON-like value; text that holds a JSON object comes as that object. Text
    with too many values is left out and is one of `problems`.
    """
    fields = {key: value for key, value in message.items() if value is not None and isinstance(key, str)}
    appendix = fields.get("user_data")
    if appendix is None:
        return fields
    if isinstance(appendix, str):
        try:
            parsed = jsonlike.parse_object(appendix, limits.max_nesting)
        except Mismatch as mismatch:
            del fields["user_data"]
            problems.add("user_data", mismatch)
            return fields
        fields["user_data"] = appendix = jsonlike.clean_text(appendix) if parsed is None else parsed
    if isinstance(appendix, dict):
        for key, value in appendix.items():
            if value is not None and isinstance(key, str):
                fields.setdefault(key, value)
    return fields


class _Never:
    """The type of no value that comes."""


class Field(NamedTuple):
    """`name` interned: message objects with such keys are read several times faster. A value of the type
    `kind` from `lowest` to `highest` is right as it is."""

    name: str
    converter: Converter
    kind: type[object]
    lowest: float
    highest: float


def table(converters: Mapping[str, Converter]) -> dict[str, Field]:
    """The fields of a message, for `convert`."""
    made = {}
    for name, converter in converters.items():
        kind, lowest, highest = plain_of(converter) or (_Never, 0, 0)
        made[name] = Field(sys.intern(name), converter, kind, lowest, highest)
    return made


def convert(
    fields: Mapping[str, object], table: Mapping[str, Field], limits: LimitSettings, problems: Problems
) -> dict[str, object]:
    """Name -> converted value of each field of `table` that came and was right."""
    values: dict[str, object] = {}
    for sent_name, value in fields.items():
        field = table.get(sent_name)
        if field is None:
            continue
        name, converter, kind, lowest, highest = field
        # Most values are plain numbers, and comparing them costs a quarter of calling their converter.
        if type(value) is kind and lowest <= value <= highest:  # type: ignore[operator]
            values[name] = value
            continue
        try:
            values[name] = converter(value, limits)
        except Mismatch as mismatch:
            problems.add(name, mismatch)
    return values


def require(kind: str, table: Mapping[str, str], values: Mapping[str, object], problems: Problems) -> None:
    """Raise ProtocolError "bad_field" for the first field of `table` (name -> expected) without a value."""
    for name, expected in table.items():
        if name not in values:
            refuse(kind, problems.about(name) or FieldProblem(name, expected, "nothing"))


def refuse(kind: str, problem: FieldProblem) -> NoReturn:
    """Raise ProtocolError "bad_field" for an essential field that is wrong."""
    raise ProtocolError(
        "bad_field",
        f"{kind} message: field {problem.field!r}: expected {problem.expected}, got {problem.got}",
    )

"""What a run is called towards people and other programs."""

from __future__ import annotations

from jfwriter.wire.messages import StartMessage


def run_name(start: StartMessage) -> str:
    """`run_name` of the request, else the name of the series."""
    return start.run_name if start.run_name is not None else start.series_unique_id


def run_number(start: StartMessage) -> int:
    """`run_number` of the request, else the number of the series."""
    return start.run_number if start.run_number is not None else start.series_id

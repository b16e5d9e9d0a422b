"""Image numbers as ranges (first, last), both included."""

from __future__ import annotations

from collections.abc import Iterable

from jfwriter.session.orders import Range


def with_images(ranges: Iterable[Range], image_ids: Iterable[int]) -> tuple[Range, ...]:
    """`ranges` and single images as ascending ranges that neither touch nor overlap."""
    merged: list[Range] = []
    for first, last in sorted([*ranges, *((image_id, image_id) for image_id in image_ids)]):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def n_images_in(ranges: Iterable[Range]) -> int:
    return sum(last - first + 1 for first, last in ranges)

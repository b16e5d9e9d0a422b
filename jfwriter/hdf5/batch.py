"""Storing several images together: first the pixels of all, then what is kept beside them.

Copying the pixels of one image empties the processor's caches, and Python then runs several times slower for
a while. So it runs once for many images and not after each. Pure: what is done with an image is given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from jfwriter.errors import PayloadError, StorageError
from jfwriter.session.orders import WriteImage

MAX_IMAGES = 16
"""Twice as many gain little more, and all of them are in memory together."""
MAX_BYTES = 32 << 20
"""Of messages; one that is larger comes alone."""

Stored = int | PayloadError
"""Payload bytes stored, or why the image cannot be stored."""


def write_batch(
    orders: Iterable[WriteImage],
    store: Callable[[WriteImage], int],
    keep: Callable[[WriteImage], None],
    go_on: Callable[[StorageError, Sequence[WriteImage]], None],
) -> Iterator[tuple[WriteImage, Stored]]:
    """Yields each order with what came of it. An order is asked for when the one before is stored.

    `store` writes the pixels, raises PayloadError for an image that cannot be stored; `keep` what goes beside
    them. After a StorageError of either, `go_on` gets it with the orders that nothing has come of: it raises
    if the run cannot go on, otherwise they are stored anew, all of them.
    """
    coming = iter(orders)
    again: deque[WriteImage] = deque()
    while True:
        stored: deque[tuple[WriteImage, int]] = deque()
        failure = None
        order: WriteImage | None = None
        try:
            while (order := again.popleft() if again else next(coming, None)) is not None:
                try:
                    stored.append((order, store(order)))
                except PayloadError as error:
                    yield order, error
        except StorageError as error:
            failure = StorageError(error.reason, str(error))  # without its traceback
            again.appendleft(order)  # type: ignore[arg-type]
        # What is in the file by now is kept, whatever happened to the next one.
        try:
            while stored:
                keep(stored[0][0])
                yield stored.popleft()
        except StorageError as error:
            failure = StorageError(error.reason, str(error))
        if failure is None:
            return
        again.extendleft(left for left, _ in reversed(stored))
        go_on(failure, tuple(again))

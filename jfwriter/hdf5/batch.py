"""Storing several images together: first the pixels of all, then what is kept beside them.

Copying the pixels of one image empties the processor's caches, and Python then runs several times slower for
a while. So it runs once for many images and not after each. Pure: what is done with an image is given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from jfwriter.errors import PayloadError, StorageError
from jfwriter.session.orders import WriteImage

MAX_IMAGES = 64
"""Small ones; of 1.5 MB some twenty are stored together."""
MAX_BYTES = 32 << 20
"""Of messages; one that is larger comes alone."""

Stored = int | PayloadError
"""Payload bytes stored, or why the image cannot be stored."""


def write_batch(
    orders: Iterable[WriteImage],
    ahead: Callable[[Sequence[WriteImage]], Sequence[int]],
    store: Callable[[WriteImage], int],
    keep: Callable[[WriteImage], None],
    go_on: Callable[[StorageError, Sequence[WriteImage]], None],
) -> Iterator[tuple[WriteImage, Stored]]:
    """Yields each order with what came of it. All are asked for at once.

    `ahead` may store any number of the first ones together, and returns their bytes; `store` stores the next
    one, raises PayloadError for one that cannot be stored; `keep` what goes beside them. After a StorageError
    of any, `go_on` gets it with the orders that nothing has come of: it raises if the run cannot go on,
    otherwise they are stored anew, all of them.
    """
    waiting = deque(orders)
    while True:
        stored: deque[tuple[WriteImage, int]] = deque()
        failure = None
        try:
            while waiting:
                for n_bytes in ahead(waiting) if len(waiting) > 1 else ():
                    stored.append((waiting.popleft(), n_bytes))
                if waiting:
                    order, came = _store_next(waiting, store)
                    if isinstance(came, PayloadError):
                        yield order, came
                    else:
                        stored.append((order, came))
        except StorageError as error:
            failure = StorageError(error.reason, str(error))  # without its traceback
        # What is in the file by now is kept, whatever happened to the next one.
        try:
            while stored:
                keep(stored[0][0])
                yield stored.popleft()
        except StorageError as error:
            failure = StorageError(error.reason, str(error))
        if failure is None:
            return
        waiting.extendleft(left for left, _ in reversed(stored))
        go_on(failure, tuple(waiting))


def _store_next(waiting: deque[WriteImage], store: Callable[[WriteImage], int]) -> tuple[WriteImage, Stored]:
    """The first of `waiting`, which then waits no more. Raises StorageError, and leaves it."""
    try:
        came: Stored = store(waiting[0])
    except PayloadError as error:
        came = error
    return waiting.popleft(), came

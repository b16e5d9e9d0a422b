"""Storing several images together: first the pixels of all, then what is kept beside them.

Copying the pixels of one image empties the processor's caches, and Python then runs several times slower for
a while. So it runs once for many images and not after each. Pure: what is done with an image is given.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

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
    ahead: Callable[[Sequence[WriteImage]], Generator[int]],
    store: Callable[[WriteImage], int],
    keep: Callable[[WriteImage], None],
    go_on: Callable[[StorageError, Sequence[WriteImage]], None],
) -> Iterator[tuple[WriteImage, Stored]]:
    """Yields each order with what came of it. All are asked for at once.

    `ahead` may store any number of the first ones together, and yields the bytes of each that is stored;
    `store` stores the next one, raises PayloadError for one that cannot be stored; `keep` what goes beside
    them. After a StorageError of any, `go_on` gets it with the orders that nothing has come of: it raises if
    the run cannot go on, otherwise they are stored anew, all of them.
    """
    waiting = deque(orders)
    while waiting:
        failure = None
        try:
            while waiting:
                with contextlib.closing(ahead(tuple(waiting))) as stored:
                    for n_bytes in stored:
                        keep(waiting[0])
                        yield waiting.popleft(), n_bytes
                if waiting:
                    yield _store_next(waiting, store, keep)
        except StorageError as error:
            failure = StorageError(error.reason, str(error))  # without its traceback
        if failure is not None:
            go_on(failure, tuple(waiting))


def _store_next(
    waiting: deque[WriteImage], store: Callable[[WriteImage], int], keep: Callable[[WriteImage], None]
) -> tuple[WriteImage, Stored]:
    """The first of `waiting`, which then waits no more. Raises StorageError, and leaves it."""
    try:
        came: Stored = store(waiting[0])
        keep(waiting[0])
    except PayloadError as error:
        came = error
    return waiting.popleft(), came

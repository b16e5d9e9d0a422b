"""Memory that a decoded message holds beyond the bytes it was decoded from."""

from __future__ import annotations

from typing import Final

from jfwriter.wire.jsonlike import n_values
from jfwriter.wire.messages import ImageMessage, Message, StartMessage
from jfwriter.wire.plain_image import PlainImage

VALUE_BYTES: Final = 128
"""Of one value of free-form data, at most: an entry of a map of its own takes 240 and counts as two."""
SPAN_BYTES: Final = 160
"""Of a list of two numbers, and its place in a list."""
_OF_IMAGES: Final = ("az_int_profile", "az_int_profile_std", "az_int_profile_count")
_OF_STARTS: Final = ("az_int_bin_to_q", "az_int_bin_to_two_theta", "az_int_bin_to_phi")


def held_bytes(message: Message) -> int:
    """At most so many bytes: free-form data and arrays of numbers, which take a byte each in the message and
    eight in memory. What else a message may hold is in proportion to its own bytes, or bounded to kilobytes.
    """
    if isinstance(message, PlainImage):
        spots = message.spot_table
        spot_bytes = 0 if spots is None else spots.numbers.nbytes
        return message.cells.nbytes + SPAN_BYTES * len(message.spans) + message.n_other_bytes + spot_bytes
    if isinstance(message, ImageMessage):
        appendix, names = message.user_data, _OF_IMAGES
    elif isinstance(message, StartMessage):
        appendix, names = message.user, _OF_STARTS
    else:
        return 0
    arrays = (getattr(message, name) for name in names)
    n_bytes: int = sum(array.nbytes for array in arrays if array is not None)
    return n_bytes if appendix is None else n_bytes + VALUE_BYTES * n_values(appendix)

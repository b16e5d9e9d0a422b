"""Payload <-> pixels: framing check, unpacking, packing, HDF5 filter ids. Any thread."""

from jfwriter.compression.codec import compress, decompress
from jfwriter.compression.framing import check_framing

__all__ = ["check_framing", "compress", "decompress"]

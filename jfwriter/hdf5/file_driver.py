"""HDF5's driver for plain files ("sec2"), with one difference: a chunk may be there before HDF5 stores it.

HDF5 writes a chunk itself, by one write(2) through the page cache, while it holds its lock. Here the pixels
of many images are written by whoever can do it best, to a place behind the end of the file; then HDF5 is
asked to store the chunks. When it wants room for one, it gets that place, and when it wants to write there,
nothing is left to do. Where it chooses another place, as it has room within the file, it writes the chunk
there itself.

The driver is a copy of sec2's class (`H5FD_class_t`, HDF5 "Virtual File Layer", version 1 of the class: HDF5
1.14 and 2) with two other functions. They keep what they know behind the driver's name, the only memory of
ours that HDF5 keeps a pointer to.
"""

from __future__ import annotations

import ctypes
import functools
import logging
from typing import Any, Final

import h5py
import numpy as np
import numpy.typing as npt
from h5py._objects import phil

from jfwriter.hdf5.hdf5_file import library
from jfwriter.hdf5.native import (
    address_of,
    identifier_of_2,
    load,
    status_of_3,
    status_of_6,
    store,
)
from jfwriter.jit import callback, helper

_log = logging.getLogger(__name__)

_NAME: Final = b"jfwriter"

# Words of `H5FD_class_t` (8 bytes), and of `H5FD_t`, whose second one is the address of its class.
_VERSION_AND_VALUE, _CLASS_NAME, _ALLOC, _GET_EOA, _SET_EOA, _WRITE = 0, 1, 20, 22, 23, 27
_CLASS_WORDS: Final = 42
_CLASS_VERSION: Final = 1
_SEC2_VALUE: Final = 0
_VALUE: Final = 0x6A66
"""HDF5 leaves the numbers from 256 to drivers of others."""

# Bytes behind the beginning of the driver's name.
_SEC2_WRITE: Final = 16
_FILE: Final = 24
"""That asked for room last."""
_DATA: Final = 32
"""Address of the chunk that comes next; it and what follows are its own."""
_SIZE: Final = 40
_FREE_PLACE: Final = 48
"""What HDF5 gets when it asks for room for it; -1: gets no more."""
_IS_AT: Final = 56
"""Where its bytes are by now; -1: nowhere."""
_FOUND: Final = 64
"""Where HDF5 has put it; -1: it has not yet."""
_N_WORDS: Final = 9

_DRAW: Final = 3
"""H5FD_MEM_DRAW: raw data."""
NOWHERE: Final = -1
"""HADDR_UNDEF."""
_MAX_ADDRESS: Final = (1 << 63) - 1


class Driver:
    """Registered with HDF5 once. Everything but `made` and `use` belongs to the thread that is in HDF5."""

    def __init__(self, sec2: npt.NDArray[np.int64]) -> None:
        """`sec2`: the words of its class. Raises OSError if HDF5 takes no such driver."""
        self._words = np.zeros(_N_WORDS, np.int64)
        self._words[: len(_NAME) // 8] = np.frombuffer(_NAME, np.int64)
        self.words = address_of(self._words)
        """Address of the driver's name and of what stands behind it."""
        self._words[_SEC2_WRITE // 8] = sec2[_WRITE]
        self._class = sec2.copy()
        self._class[_VERSION_AND_VALUE] = _CLASS_VERSION | _VALUE << 32
        self._class[_CLASS_NAME] = self.words
        self._class[_ALLOC] = _give_place
        self._class[_WRITE] = _write_what_is_not_there
        self._get_eoa = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p, ctypes.c_int)(int(sec2[_GET_EOA]))
        self._set_eoa = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64
        )(int(sec2[_SET_EOA]))  # fmt: skip
        self._id = _hdf5_function("H5FDregister", ctypes.c_int64, ctypes.c_void_p)(address_of(self._class))
        if self._id < 0:
            raise OSError("HDF5 does not take the driver")

    def use(self, access: h5py.h5p.PropFAID) -> None:
        """For a file that is opened with `access`. Raises OSError."""
        arguments = (ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
        if _hdf5_function("H5Pset_driver", ctypes.c_int, *arguments)(access.id, self._id, None) < 0:
            raise OSError("HDF5 does not take the driver for a file")

    def made(self) -> int:
        """The file (`H5FD_t`) that was made last in this thread: HDF5 has just asked for room in it."""
        return int(self._words[_FILE // 8])

    def end(self, file: int) -> int:
        """Where what HDF5 has given room to ends, in bytes."""
        return int(self._get_eoa(file, _DRAW))

    def move_end(self, file: int, end: int) -> None:
        """What lies before `end` and behind the end so far is in the caller's hands."""
        self._set_eoa(file, _DRAW, end)

    def watch(self, chunk: npt.NDArray[np.uint8]) -> None:
        """The bytes of `chunk` come next, and are not in the file."""
        self._words[_DATA // 8 :] = (address_of(chunk), chunk.size, NOWHERE, NOWHERE, NOWHERE)

    def found(self) -> int:
        """Where HDF5 has put the chunk that was watched; -1: nowhere. It is not watched any more."""
        place = int(self._words[_FOUND // 8])
        self._words[_DATA // 8 :] = (0, 0, NOWHERE, NOWHERE, NOWHERE)
        return place


@functools.cache
def driver() -> Driver | None:
    """None for an HDF5 whose drivers are built otherwise, which is told once."""
    found = _driver()
    if found is None:
        text = "HDF5 %s: its file driver is not known here; images are stored one by one, which is slower"
        _log.warning(text, h5py.version.hdf5_version)
    return found


def _driver() -> Driver | None:
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fapl_sec2()
    with phil:
        arguments = (ctypes.c_char_p, ctypes.c_uint, ctypes.c_int64, ctypes.c_uint64)
        file = _hdf5_function("H5FDopen", ctypes.c_void_p, *arguments)(
            b"/dev/null", 0, access.id, _MAX_ADDRESS
        )
        if not file:
            return None
        try:
            return _driver_like(file)
        except OSError:
            return None
        finally:
            _hdf5_function("H5FDclose", ctypes.c_int, ctypes.c_void_p)(file)


def _driver_like(file: int) -> Driver | None:
    """`file`: an `H5FD_t` of sec2."""
    words = ctypes.c_int64 * _CLASS_WORDS
    sec2 = np.array(words.from_address(ctypes.c_uint64.from_address(file + 8).value), np.int64)
    is_known = (
        sec2[_VERSION_AND_VALUE] == _CLASS_VERSION | _SEC2_VALUE << 32
        and ctypes.string_at(int(sec2[_CLASS_NAME])) == b"sec2"
        and sec2[_ALLOC] == 0
        and sec2[_GET_EOA] != 0
        and sec2[_SET_EOA] != 0
        and sec2[_WRITE] != 0
    )
    return Driver(sec2) if is_known else None


def _hdf5_function(name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library(), name)
    function.restype, function.argtypes = result, arguments
    return function


@callback("int64(int64, int32, int64, int64)")
def _give_place(file: int, kind: int, _transfer: int, size: int) -> int:
    """`alloc` of H5FD_class_t: where `size` bytes go."""
    of_class = load(file + 8)
    words = load(of_class + 8 * _CLASS_NAME)
    store(words + _FILE, file)
    place: int = load(words + _FREE_PLACE)
    if place >= 0 and kind == _DRAW and size == load(words + _SIZE):
        store(words + _FREE_PLACE, NOWHERE)
        return place
    end: int = identifier_of_2(load(of_class + 8 * _GET_EOA), (file, np.int64(kind)))
    if size < 0 or end < 0 or end + size < end:
        return NOWHERE
    if status_of_3(load(of_class + 8 * _SET_EOA), (file, np.int64(kind), end + size)) < 0:
        return NOWHERE
    return end


@callback("int32(int64, int32, int64, int64, int64, int64)")
def _write_what_is_not_there(  # noqa: PLR0917 as HDF5 calls it
    file: int, kind: int, transfer: int, place: int, size: int, data: int
) -> int:
    """`write` of H5FD_class_t."""
    words = load(load(file + 8) + 8 * _CLASS_NAME)
    if data == load(words + _DATA) and size == load(words + _SIZE) and kind == _DRAW:
        store(words + _FOUND, place)
        if place == load(words + _IS_AT):
            return 0
    arguments = (file, np.int64(kind), transfer, place, size, data)
    status: int = status_of_6(load(words + _SEC2_WRITE), arguments)
    return status


@helper
def expect(words: int, data: int, size: int, place: int) -> None:
    """The chunk of `size` bytes at the address `data` comes next; it is at `place` in the file (-1: not yet),
    which lies before the end. `words`: of the driver."""
    store(words + _DATA, data)
    store(words + _SIZE, size)
    store(words + _FREE_PLACE, place)
    store(words + _IS_AT, place)
    store(words + _FOUND, NOWHERE)


@helper
def found(words: int) -> int:
    """Where HDF5 has put the chunk that was expected; -1: nowhere. Nothing is expected any more: what comes
    may have its address, its size, or its place in another file."""
    place: int = load(words + _FOUND)
    expect(words, 0, 0, NOWHERE)
    return place

"""Several direct chunk writes in one call, during which the interpreter belongs to the other threads.

h5py lets go of the interpreter for each chunk and then waits for it, up to the switch interval of 0.5 ms,
while the event loop has messages to decode: longer than a small image takes. So HDF5's functions are called
by a kernel, one image after the other (`H5Dwrite_chunk`, `H5Fget_filesize`).
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt
from h5py._objects import phil
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from jfwriter.hdf5.hdf5_file import library
from jfwriter.jit import kernel

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_DEFAULT_PROPERTIES = 0


class Chunk(NamedTuple):
    """`data`: all of it goes to row `row` of the dataset with this identifier, whose rows are images."""

    dataset: int
    row: int
    data: memoryview


def write_chunks(file: h5py.File, chunks: Sequence[Chunk]) -> list[int]:
    """Write as many as can be written, in order; sizes of `file` in bytes before the first and after each
    that was. A chunk that could not be written may have left something in its dataset's memory.

    Writer thread only. `file` and the datasets are open, the rows within their extents.
    """
    write_code, size_code = _codes()
    datasets = np.array([chunk.dataset for chunk in chunks], np.int64)
    offsets = np.zeros((len(chunks), 3), np.uint64)
    offsets[:, 0] = [chunk.row for chunk in chunks]
    bytes_ = [np.frombuffer(chunk.data, np.uint8) for chunk in chunks]
    addresses = np.array([array.__array_interface__["data"][0] for array in bytes_], np.int64)
    sizes = np.array([array.size for array in bytes_], np.int64)
    ends = np.zeros(len(chunks) + 1, np.uint64)
    with phil:
        n_written = _write(write_code, size_code, file.id.id, datasets, offsets, addresses, sizes, ends)
    return [int(end) for end in ends[: n_written + 1]]


@functools.cache
def _codes() -> tuple[int, int]:
    """Addresses of the two functions."""
    hdf5 = library()
    return _address(hdf5.H5Dwrite_chunk), _address(hdf5.H5Fget_filesize)


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _call_write_signature(
    _typing: Any, _code: Any, _dataset: Any, _offset: Any, _size: Any, _data: Any
) -> Any:
    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        code, dataset, offset, size, data = arguments
        pointer = ir.IntType(8).as_pointer()
        function = ir.FunctionType(_I32, [_I64, _I64, _I32, pointer, _I64, pointer])
        call = builder.inttoptr(code, function.as_pointer())
        filters_left_out = ir.Constant(_I32, 0)
        properties = ir.Constant(_I64, _DEFAULT_PROPERTIES)
        places = [builder.inttoptr(offset, pointer), size, builder.inttoptr(data, pointer)]
        return builder.sext(builder.call(call, [dataset, properties, filters_left_out, *places]), _I64)

    i64 = types.int64
    return i64(i64, i64, i64, i64, i64), generate


_call_write: Any = intrinsic(_call_write_signature)
"""_call_write(code, dataset, offset, size, data) -> int64: H5Dwrite_chunk at address `code`, with default
properties and all filters applied; `offset` and `data` are addresses. Negative: failed."""


def _call_size_signature(_typing: Any, _code: Any, _file: Any, _size: Any) -> Any:
    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        code, file, size = arguments
        pointer = ir.IntType(8).as_pointer()
        call = builder.inttoptr(code, ir.FunctionType(_I32, [_I64, pointer]).as_pointer())
        return builder.sext(builder.call(call, [file, builder.inttoptr(size, pointer)]), _I64)

    i64 = types.int64
    return i64(i64, i64, i64), generate


_call_size: Any = intrinsic(_call_size_signature)
"""_call_size(code, file, size) -> int64: H5Fget_filesize at address `code`; `size` is the address of the
uint64 that receives it. Negative: failed."""


@kernel("int64(int64, int64, int64, int64[::1], uint64[:, ::1], int64[::1], int64[::1], uint64[::1])")
def _write(
    write_code: int,
    size_code: int,
    file: int,
    datasets: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.uint64],
    addresses: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    ends: npt.NDArray[np.uint64],
) -> int:
    """Chunks written. datasets, addresses, sizes: [c]; offsets: [c, 3]; ends: [c + 1], receives sizes."""
    if _call_size(size_code, file, ends.ctypes.data) < 0:
        return 0
    for i in range(datasets.size):
        if _call_write(write_code, datasets[i], offsets[i].ctypes.data, sizes[i], addresses[i]) < 0:
            return i
        if _call_size(size_code, file, ends[i + 1 :].ctypes.data) < 0:
            return i
    n_chunks: int = datasets.size
    return n_chunks

"""Calling C functions by their address from kernels, and memory by its address: what HDF5 is called with,
and calls, without the interpreter.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy.typing as npt
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

I32, I64 = ir.IntType(32), ir.IntType(64)


def code_of(function: Any) -> int:
    """Address of a function of a library that ctypes has loaded."""
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def address_of(array: npt.NDArray[Any]) -> int:
    """Of the first element. The caller holds the array."""
    address: int = array.__array_interface__["data"][0]
    return address


def caller(n_arguments: int, result: ir.IntType) -> Any:
    """call(code, arguments) -> int64: of the function at `code`; its arguments: numbers and addresses.

    A number of 32 bits is the lower half of what is given (calling conventions of x86-64 and ARM).
    """

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, given: Any) -> Any:
        kind = ir.FunctionType(result, [I64] * n_arguments)
        call = builder.inttoptr(given[0], kind.as_pointer())
        found = builder.call(call, [builder.extract_value(given[1], i) for i in range(n_arguments)])
        return found if result is I64 else builder.sext(found, I64)

    def signature(_typing: Any, _code: Any, arguments: Any) -> Any:
        return types.int64(types.int64, arguments), generate

    return intrinsic(signature)


def _load(_typing: Any, _address: Any) -> Any:
    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, given: Any) -> Any:
        return builder.load(builder.inttoptr(given[0], I64.as_pointer()))

    return types.int64(types.int64), generate


def _store(_typing: Any, _address: Any, _value: Any) -> Any:
    def generate(context: Any, builder: ir.IRBuilder, _signature: Any, given: Any) -> Any:
        builder.store(given[1], builder.inttoptr(given[0], I64.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


load: Any = intrinsic(_load)
"""load(address) -> int64: the word there."""
store: Any = intrinsic(_store)
"""store(address, value): the int64 `value` becomes the word there."""

status_of_1, status_of_3, status_of_6 = (caller(n, I32) for n in (1, 3, 6))
identifier_of_1, identifier_of_2, identifier_of_3 = (caller(n, I64) for n in (1, 2, 3))
identifier_of_6, identifier_of_7 = (caller(n, I64) for n in (6, 7))

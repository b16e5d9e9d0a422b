"""The one way to compile a Numba kernel: exact signature, GIL released, cached where a cache can be had."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from jfwriter.jit_cache import cached_in, directory_for

F = TypeVar("F", bound=Callable[..., object])
R = TypeVar("R")


def _compiled(function: F, signatures: tuple[str, ...], *, keeps_gil: bool, cache: bool) -> F:
    return cast("F", numba.njit(list(signatures), nogil=not keeps_gil, cache=cache)(function))


def kernel(*signatures: str, keeps_gil: bool = False) -> Callable[[F], F]:
    """Compile for `signatures` at import time, without the GIL while it runs.

    `keeps_gil` for kernels of a few microseconds: giving the GIL away for so short a time wakes a thread that
    then has to wait for it again, and costs more than the kernel.

    Compiling (or loading from the cache) when the module is imported keeps the first image of the first
    run as fast as the others. Where the cache cannot be written (a read-only installation without a home, a
    full disk), the kernel is compiled anew in each process.
    """

    def compile_(function: F) -> F:
        def njit(*, cache: bool) -> F:
            return _compiled(function, signatures, keeps_gil=keeps_gil, cache=cache)

        return _cached_if_possible(function, njit)

    return compile_


def callback(signature: str) -> Callable[[F], int]:
    """Compile a function that C code calls, with or without the GIL: its address. It must not raise.

    Cached as kernels are. The code stays for as long as the process does.
    """

    def compile_(function: F) -> int:
        def cfunc(*, cache: bool) -> Any:
            return numba.cfunc(signature, cache=cache)(function)

        compiled = _cached_if_possible(function, cfunc)
        _callbacks.append(compiled)
        return int(compiled.address)

    return compile_


_callbacks: list[Any] = []


def _cached_if_possible(function: Callable[..., object], compile_: Callable[..., R]) -> R:
    directory = directory_for(function)
    if directory is None:
        return compile_(cache=False)
    try:
        with cached_in(directory):
            return compile_(cache=True)
    except OSError:
        pass
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
    return compile_(cache=False)


def helper(function: F) -> F:
    """Compile a function that only kernels call; it becomes part of their cached code."""
    return cast("F", numba.njit(nogil=True)(function))


def inlined(function: F) -> F:
    """A helper of a few lines in an innermost loop: it is put into its callers before they are compiled."""
    return cast("F", numba.njit(nogil=True, inline="always")(function))


def _borrow(_typing: Any, array: Any) -> Any:
    if not isinstance(array, types.Array):
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        new = cast("Any", make_array)(signature.return_type)(context, builder, value=args[0])
        new.meminfo = ir.Constant(new.meminfo.type, None)
        new.parent = ir.Constant(new.parent.type, None)
        return new._getvalue()

    return array(array), generate


borrowed = cast("Callable[[Any], Any]", intrinsic(_borrow))
"""The same array without a share in its memory, for the beginning of a kernel: `a = borrowed(a)`.

The caller holds the memory while a kernel runs. Without this, each slice of an array (a row, a segment)
counts a reference up and down with locked instructions, which takes longer than summing a hundred pixels.
"""

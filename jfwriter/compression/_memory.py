"""Unaligned loads, stores and wide copies for the unpacking kernels, as LLVM instructions.

Numba has no unaligned access and no vectors of its own. Nothing here checks a bound: each docstring says
which bytes are touched, and the caller keeps them inside its arrays. The vectors are LLVM's generic ones:
every CPU gets the instructions it has. Byte order is little-endian, as on all machines Numba compiles for.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

I8, I32, I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)


def address(context: Any, builder: ir.IRBuilder, array_type: Any, array: Any, offset: Any) -> Any:
    """Pointer to byte `offset` of a uint8 array."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [offset])


def load_as(builder: ir.IRBuilder, pointer: Any, type_: ir.Type) -> Any:
    return builder.load(builder.bitcast(pointer, type_.as_pointer()), align=1)


def store(builder: ir.IRBuilder, value: Any, pointer: Any) -> None:
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer()), align=1)


def is_bytes(*arrays: Any) -> bool:
    """Are these the types of flat, contiguous uint8 arrays?"""
    return all(
        isinstance(array, types.Array) and (array.dtype, array.ndim, array.layout) == (types.uint8, 1, "C")
        for array in arrays
    )


def _make_load(type_: ir.IntType, *, big_endian: bool = False) -> Any:
    def load(_typing: Any, array: Any, _offset: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
            pointer = address(context, builder, signature.args[0], *arguments)
            value = load_as(builder, pointer, type_)
            if big_endian:
                value = builder.bswap(value)
            return value if type_.width == 64 else builder.zext(value, I64)

        return (types.int64(array, types.int64), generate) if is_bytes(array) else None

    return intrinsic(load)


load_u8 = _make_load(I8)
"""load_u8(array, offset) -> int64"""
load_u16 = _make_load(ir.IntType(16))
"""load_u16(array, offset) -> int64, reads 2 bytes, little-endian"""
load_u32_be = _make_load(I32, big_endian=True)
"""load_u32_be(array, offset) -> int64, reads 4 bytes, big-endian"""
load_u64 = _make_load(I64)
"""load_u64(array, offset) -> int64, reads 8 bytes, little-endian"""


def _prefetch(_typing: Any, array: Any, _offset: Any) -> Any:
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        pointer = address(context, builder, signature.args[0], *arguments)
        type_ = ir.FunctionType(ir.VoidType(), [pointer.type, I32, I32, I32])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], type_)
        builder.call(function, [pointer, I32(0), I32(3), I32(1)])  # to read; keep it; data
        return context.get_dummy_value()

    return (types.void(array, types.int64), generate) if is_bytes(array) else None


prefetch: Any = intrinsic(_prefetch)
"""prefetch(array, offset): bring the byte's cache line near, and the address translation of its page. Reads
nothing, and may lie outside of the array."""


def _make_copy(n_bytes: int) -> Any:
    vector = ir.VectorType(I8, n_bytes)

    def copy(_typing: Any, target: Any, _to: Any, source: Any, _from: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
            to = address(context, builder, signature.args[0], arguments[0], arguments[1])
            from_ = address(context, builder, signature.args[2], arguments[2], arguments[3])
            store(builder, load_as(builder, from_, vector), to)
            return context.get_dummy_value()

        if not is_bytes(target, source):
            return None
        return types.void(target, types.int64, source, types.int64), generate

    return intrinsic(copy)


copy_8 = _make_copy(8)
"""copy_8(target, to, source, from): reads 8 bytes, then writes them"""
copy_16 = _make_copy(16)
"""copy_16(target, to, source, from): reads 16 bytes, then writes them"""
copy_32 = _make_copy(32)
"""copy_32(target, to, source, from): reads 32 bytes, then writes them"""


def _make_put(n_times: int) -> Any:
    vector = ir.VectorType(I64, n_times)

    def put(_typing: Any, target: Any, _to: Any, _value: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
            value = ir.Constant(vector, ir.Undefined)
            for lane in range(n_times):
                value = builder.insert_element(value, arguments[2], I32(lane))
            store(builder, value, address(context, builder, signature.args[0], *arguments[:2]))
            return context.get_dummy_value()

        if not is_bytes(target):
            return None
        return types.void(target, types.int64, types.int64), generate

    return intrinsic(put)


put_8 = _make_put(1)
"""put_8(target, to, value): writes the 8 bytes of an int64"""
put_32 = _make_put(4)
"""put_32(target, to, value): writes the 8 bytes of an int64 four times"""

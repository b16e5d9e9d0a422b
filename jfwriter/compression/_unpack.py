"""Kernels that unpack a chunk whose framing was checked. They return 0, or the offset of the bad block.

`source` is the chunk, `target` the image's bytes, `scratch` one block and `SLACK_BYTES`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from jfwriter.compression._lz4 import copy_exactly, unpack_lz4_block
from jfwriter.compression._memory import I64, address, is_bytes, load_u32_be
from jfwriter.compression._unshuffle import unshuffle_block
from jfwriter.compression._walk import HEADER_BYTES, Bytes
from jfwriter.jit import kernel

_ARRAYS = "Array(uint8, 1, 'C', readonly=True), uint8[::1]"


@kernel(f"int64({_ARRAYS}, uint8[::1], int64, int64)")
def unpack_bslz4(source: Bytes, target: Bytes, scratch: Bytes, item_bytes: int, block_bytes: int) -> int:
    """Filter 32008 with LZ4 blocks; elements of 1, 2 or 4 bytes."""
    left = target.size - target.size % (8 * item_bytes)
    position, to = HEADER_BYTES, 0
    while left > 0:
        n = min(block_bytes, left)
        end = position + 4 + load_u32_be(source, position)
        if not unpack_lz4_block(source, position + 4, end, scratch, 0, n, True):
            return position
        unshuffle_block(target, to, scratch, n, item_bytes)
        position = end
        to += n
        left -= n
    copy_exactly(target, to, source, position, target.size - to)
    return 0


@kernel(f"int64({_ARRAYS}, int64)")
def unpack_lz4(source: Bytes, target: Bytes, block_bytes: int) -> int:
    """Filter 32004: LZ4 blocks, or plain bytes where a block is as long as what it unpacks to."""
    position, to = HEADER_BYTES, 0
    while to < target.size:
        n = min(block_bytes, target.size - to)
        length = load_u32_be(source, position)
        end = position + 4 + length
        if length == n:
            copy_exactly(target, to, source, position + 4, n)
        elif not unpack_lz4_block(source, position + 4, end, target, to, to + n, False):
            return position
        position = end
        to += n
    return 0


def _call_zstd_signature(
    _typing: Any, _code: Any, _state: Any, target: Any, _n: Any, source: Any, _start: Any, _length: Any
) -> Any:
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        code, state, target_, n, source_, start, length = arguments
        to = address(context, builder, signature.args[2], target_, I64(0))
        from_ = address(context, builder, signature.args[4], source_, start)
        pointer = to.type
        function = ir.FunctionType(I64, [pointer, pointer, I64, pointer, I64])
        call = builder.inttoptr(code, function.as_pointer())
        return builder.call(call, [builder.inttoptr(state, pointer), to, n, from_, length])

    if not is_bytes(target, source):
        return None
    i64 = types.int64
    return i64(i64, i64, target, i64, source, i64, i64), generate


_call_zstd: Any = intrinsic(_call_zstd_signature)
"""_call_zstd(code, context, target, n, source, start, length) -> int64: ZSTD_decompressDCtx, found at address
`code`: size_t(void *context, void *to, size_t n, const void *from, size_t length)."""


@kernel(f"int64({_ARRAYS}, uint8[::1], int64, int64, int64, int64)")
def unpack_bszstd(  # noqa: PLR0917 Numba
    source: Bytes, target: Bytes, scratch: Bytes, item_bytes: int, block_bytes: int, code: int, context: int
) -> int:
    """Filter 32008 with Zstandard blocks; elements of 1, 2 or 4 bytes.

    `code` is the address of ZSTD_decompressDCtx, `context` a ZSTD_DCtx that no other thread uses.
    """
    left = target.size - target.size % (8 * item_bytes)
    position, to = HEADER_BYTES, 0
    while left > 0:
        n = min(block_bytes, left)
        length = load_u32_be(source, position)
        if _call_zstd(code, context, scratch, n, source, position + 4, length) != n:
            return position
        unshuffle_block(target, to, scratch, n, item_bytes)
        position += 4 + length
        to += n
        left -= n
    copy_exactly(target, to, source, position, target.size - to)
    return 0

"""Undo bitshuffle: 8 x n bit planes of each byte of the elements back to n elements.

In a shuffled block of n elements, bit b of byte c of all elements stands in row 8 c + b, n / 8 bytes long;
bit k of its byte j belongs to element 8 j + k.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from jfwriter.compression._memory import I8, I32, I64, address, is_bytes, load_as, load_u8, store
from jfwriter.compression._walk import Bytes
from jfwriter.jit import helper

COLUMNS = 32
"""Bytes of each row that one step takes: a register of AVX2."""

_SWAPS = ((1, 0x5555555555555555), (2, 0x3333333333333333), (4, 0x0F0F0F0F0F0F0F0F))
"""Transpose of 8 x 8 bits by swapping blocks of 1, 2 and 4 (H. S. Warren, Hacker's Delight, 7-3)."""


def _transpose_bits(builder: ir.IRBuilder, rows: list[Any]) -> None:
    """Swap bits between eight vectors: bit k of row b goes to bit b of row k, in each byte."""
    lanes = COLUMNS // 8
    for distance, mask in _SWAPS:
        shift = ir.Constant(ir.VectorType(I64, lanes), [distance] * lanes)
        keep = ir.Constant(ir.VectorType(I64, lanes), [mask] * lanes)
        for low in (b for b in range(8) if not b & distance):
            high = low + distance
            other = builder.and_(builder.xor(builder.lshr(rows[low], shift), rows[high]), keep)
            rows[low] = builder.xor(rows[low], builder.shl(other, shift))
            rows[high] = builder.xor(rows[high], other)


def _interleave(builder: ir.IRBuilder, vectors: list[Any]) -> list[Any]:
    """Vectors whose bytes, one after the other, are byte 0 of all `vectors`, byte 1 of all, ..."""
    order = [side * COLUMNS + i for i in range(COLUMNS) for side in (0, 1)]
    halves = [ir.Constant(ir.VectorType(I32, COLUMNS), half) for half in (order[:COLUMNS], order[COLUMNS:])]
    n = len(vectors)
    for _ in range(n.bit_length() - 1):
        pairs = [(vectors[i], vectors[i + n // 2]) for i in range(n // 2)]
        vectors = [builder.shuffle_vector(*pair, half) for pair in pairs for half in halves]
    return vectors


def _make_unshuffle(item_bytes: int) -> Any:
    words = ir.VectorType(I64, COLUMNS // 8)
    vector = ir.VectorType(I8, COLUMNS)

    def element_bytes(builder: ir.IRBuilder, source: Any, row_bytes: Any, byte: int) -> list[Any]:
        """Byte `byte` of elements k, 8 + k, 16 + k, ... for k = 0..7."""
        offsets = [builder.mul(row_bytes, I64(8 * byte + bit)) for bit in range(8)]
        rows = [load_as(builder, builder.gep(source, [offset]), words) for offset in offsets]
        _transpose_bits(builder, rows)
        return [builder.bitcast(row, vector) for row in rows]

    def unshuffle(_typing: Any, target: Any, _to: Any, source: Any, _from: Any, _row_bytes: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
            to = address(context, builder, signature.args[0], arguments[0], arguments[1])
            from_ = address(context, builder, signature.args[2], arguments[2], arguments[3])
            columns = [element_bytes(builder, from_, arguments[4], byte) for byte in range(item_bytes)]
            vectors = [columns[byte][k] for k in range(8) for byte in range(item_bytes)]
            for i, value in enumerate(_interleave(builder, vectors)):
                store(builder, value, builder.gep(to, [I64(i * COLUMNS)]))
            return context.get_dummy_value()

        if not is_bytes(target, source):
            return None
        return types.void(target, types.int64, source, types.int64, types.int64), generate

    return intrinsic(unshuffle)


_unshuffle_1 = _make_unshuffle(1)
_unshuffle_2 = _make_unshuffle(2)
_unshuffle_4 = _make_unshuffle(4)


@helper
def transpose_8x8(bits: int) -> int:
    """Transpose a matrix of 8 x 8 bits, row r in byte r."""
    swap = (bits ^ (bits >> 7)) & 0x00AA00AA00AA00AA
    bits ^= swap ^ (swap << 7)
    swap = (bits ^ (bits >> 14)) & 0x0000CCCC0000CCCC
    bits ^= swap ^ (swap << 14)
    swap = (bits ^ (bits >> 28)) & 0x00000000F0F0F0F0
    return bits ^ swap ^ (swap << 28)


@helper
def unshuffle_column(  # noqa: PLR0917 Numba
    target: Bytes, to: int, source: Bytes, j: int, row_bytes: int, item_bytes: int
) -> None:
    """Elements 8 j to 8 j + 7."""
    for byte in range(item_bytes):
        bits = 0
        for bit in range(8):
            bits |= load_u8(source, (8 * byte + bit) * row_bytes + j) << (8 * bit)
        bits = transpose_8x8(bits)
        for k in range(8):
            target[to + (8 * j + k) * item_bytes + byte] = (bits >> (8 * k)) & 255


@helper
def unshuffle_block(target: Bytes, to: int, source: Bytes, n_bytes: int, item_bytes: int) -> None:
    """Unshuffle `source[:n_bytes]`, a multiple of 8 elements of 1, 2 or 4 bytes, to `target[to:]`."""
    row_bytes = n_bytes // (8 * item_bytes)
    if row_bytes < COLUMNS:
        for j in range(row_bytes):
            unshuffle_column(target, to, source, j, row_bytes, item_bytes)
        return
    step = 0
    while step < row_bytes:
        # The last step overlaps the one before: it writes the same values again.
        j = min(step, row_bytes - COLUMNS)
        at = to + 8 * item_bytes * j
        if item_bytes == 1:
            _unshuffle_1(target, at, source, j, row_bytes)
        elif item_bytes == 2:
            _unshuffle_2(target, at, source, j, row_bytes)
        else:
            _unshuffle_4(target, at, source, j, row_bytes)
        step += COLUMNS

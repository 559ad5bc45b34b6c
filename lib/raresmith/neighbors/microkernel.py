"""The innermost loop of the neighbour search: a few rows against a tile of candidates, all sums in registers.

Half the squared distance of the rows x and y, less |x|² / 2, is |y|² / 2 - x·y: one multiply-add for a pair and a
column, where summing squared differences takes two operations. No compiler makes this from loops in Python, so the
vector instructions are written out for LLVM, which turns them into those of the processor at hand.

Numba's machine code on disk is renewed when kernel.py changes, not this file: touch that one too.
"""

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_WIDE = bool(llvm.get_host_cpu_features().get("avx512f", False))
_VECTOR_BYTES = 64 if _WIDE else 32
_VECTORS = 2
GROUP = 12 if _WIDE else 6
"""Rows judged at once. Two vectors of sums for each fill the registers: 32 of 64 bytes or 16 of 32."""


def tile_width(itemsize: int) -> int:
    """Candidates in a tile, for numbers of this many bytes."""
    return _VECTOR_BYTES // itemsize * _VECTORS


@intrinsic
def judge(typing, tiles, tile, halves, half, rows, row, n_numeric, n_codes, half_weight, limits, limit, masks):  # type: ignore[no-untyped-def]
    """Set `masks` (GROUP int64) to the candidates within each row's limit, bit j for candidate j.

    Returns the rows that have any, bit q for row q.

    Each array comes with the place of its first number. A candidate's sum is its entry in `halves`, plus the products
    of the numeric columns, plus `half_weight` for each code that differs; it is within the limit if at most that.

    Parameters
    ----------
    tiles : ndarray; from `tile` on the n_numeric + n_codes columns of the candidates, tile_width numbers each
    halves : ndarray; from `half` on tile_width numbers
    rows : ndarray; from `row` on the n_numeric + n_codes columns of the rows, GROUP numbers each
    limits : ndarray; from `limit` on GROUP numbers
    """
    number = tiles.dtype
    i64 = types.int64
    signature = i64(tiles, i64, halves, i64, rows, i64, i64, i64, number, limits, i64, masks)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _Sums(context, builder, signature, arguments, number).judge(arguments[9], arguments[10], arguments[11])

    return signature, generate


@intrinsic
def take_least(typing, tiles, tile, halves, half, rows, row, n_numeric, n_codes, half_weight, least):  # type: ignore[no-untyped-def]
    """Lower `least` to each row's sums of the candidates of a tile, where they are less.

    As `judge`; `least` holds a number for each place of a tile, GROUP times one after the other.
    """
    number = tiles.dtype
    i64 = types.int64
    signature = types.void(tiles, i64, halves, i64, rows, i64, i64, i64, number, least)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _Sums(context, builder, signature, arguments, number).take_least(arguments[9])
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def lowest_bit(typing, mask):  # type: ignore[no-untyped-def]
    """The place of the lowest bit that is set in a mask other than 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate


class _Sums:
    """Writes the instructions for the sums of GROUP rows with a tile of candidates, and what becomes of them."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any, number: Any) -> None:
        self.builder = builder
        self.bytes = number.bitwidth // 8
        self.lanes = _VECTOR_BYTES // self.bytes
        self.vector = ir.VectorType(context.get_value_type(number), self.lanes)
        # On a processor without fused multiply-add this one is two operations, not a call into the C library.
        self.multiply_add = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(self.vector, [self.vector] * 3),
            f"llvm.fmuladd.v{self.lanes}f{number.bitwidth}",
        )

        self.pointers = {
            array: context.make_array(kind)(context, builder, array).data
            for array, kind in zip(arguments, signature.args, strict=True)
            if isinstance(kind, types.Array)
        }
        self.tile, self.half, self.row = (
            builder.gep(self.pointers[arguments[i]], [arguments[i + 1]]) for i in range(0, 6, 2)
        )
        self.n_numeric, self.n_codes, self.half_weight = arguments[6:9]

    def judge(self, limits: Any, limit: Any, masks: Any) -> Any:
        """Set the masks of the candidates within the limits; the rows that have any."""
        builder = self.builder
        limits = builder.gep(self.pointers[limits], [limit])
        sums = self._sums()
        found = self._int(0)
        for q in range(GROUP):
            most = self._splat(builder.load(builder.gep(limits, [self._int(q)])))
            mask = self._int(0)
            for v in range(_VECTORS):
                # Not a number, where a sum overflowed: within.
                within = builder.fcmp_unordered("<=", sums[q * _VECTORS + v], most)
                bits = builder.zext(builder.bitcast(within, ir.IntType(self.lanes)), ir.IntType(64))
                mask = builder.or_(mask, builder.shl(bits, self._int(v * self.lanes)))
            builder.store(mask, builder.gep(self.pointers[masks], [self._int(q)]))
            some = builder.zext(builder.icmp_signed("!=", mask, self._int(0)), ir.IntType(64))
            found = builder.or_(found, builder.shl(some, self._int(q)))
        return found

    def take_least(self, least: Any) -> None:
        """Lower the numbers of `least` to the sums."""
        builder = self.builder
        for i, total in enumerate(self._sums()):
            before = self._load(self.pointers[least], self._int(i * self.lanes))
            # Not a number is never the less one.
            lower = builder.select(builder.fcmp_ordered("<", total, before), total, before)
            start = builder.gep(self.pointers[least], [self._int(i * self.lanes)])
            builder.store(lower, builder.bitcast(start, self.vector.as_pointer()), align=self.bytes)

    def _sums(self) -> list[Any]:
        builder = self.builder
        halves = [self._load(self.half, self._int(v * self.lanes)) for v in range(_VECTORS)]
        sums = self._loop(self._int(0), self.n_numeric, halves * GROUP, self._add_product)
        weight = self._splat(self.half_weight)
        zero = ir.Constant(self.vector, [0.0] * self.lanes)

        def add_mismatch(total: Any, x: Any, y: Any) -> Any:
            return builder.fadd(total, builder.select(builder.fcmp_unordered("!=", x, y), weight, zero))

        return self._loop(self.n_numeric, builder.add(self.n_numeric, self.n_codes), sums, add_mismatch)

    def _add_product(self, total: Any, x: Any, y: Any) -> Any:
        return self.builder.call(self.multiply_add, [x, y, total])

    def _loop(self, first: Any, end: Any, sums: list[Any], add: Callable[[Any, Any, Any], Any]) -> list[Any]:
        """Add the columns from `first` to before `end` to the sums, which stay in registers."""
        builder = self.builder
        before = builder.block
        head, body, after = (builder.append_basic_block(name) for name in ("columns", "column", "summed"))
        builder.branch(head)
        builder.position_at_end(head)
        column = builder.phi(ir.IntType(64))
        column.add_incoming(first, before)
        totals = []
        for value in sums:
            total = builder.phi(self.vector)
            total.add_incoming(value, before)
            totals.append(total)
        builder.cbranch(builder.icmp_signed("<", column, end), body, after)

        builder.position_at_end(body)
        candidates = builder.mul(column, self._int(self.lanes * _VECTORS))
        ys = [self._load(self.tile, builder.add(candidates, self._int(v * self.lanes))) for v in range(_VECTORS)]
        values = builder.mul(column, self._int(GROUP))
        for q in range(GROUP):
            x = self._splat(builder.load(builder.gep(self.row, [builder.add(values, self._int(q))])))
            for v in range(_VECTORS):
                total = totals[q * _VECTORS + v]
                total.add_incoming(add(total, x, ys[v]), body)
        column.add_incoming(builder.add(column, self._int(1)), body)
        builder.branch(head)
        builder.position_at_end(after)
        return totals

    def _load(self, start: Any, offset: Any) -> Any:
        address = self.builder.bitcast(self.builder.gep(start, [offset]), self.vector.as_pointer())
        return self.builder.load(address, align=self.bytes)

    def _splat(self, value: Any) -> Any:
        undefined = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, undefined, everywhere)

    @staticmethod
    def _int(value: int) -> Any:
        return ir.Constant(ir.IntType(64), value)

"""Products of some rows with weights that were packed once.

BLAS packs the weights anew in every call and waits for them to come from memory meanwhile: for the few rows
of a decoding step a good part of its time. Here a panel of columns lies as the loop reads it, and the next
one is on its way while this one is multiplied (the inner loops of Goto and van de Geijn 2008,
doi:10.1145/1356052.1356053).

Every number is one chain of fused multiply-adds in the order of the inner dimension: its bits depend neither
on the other rows nor on the width of the machine's vectors.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# A tile of sums stays in registers: ROWS x 2 vectors, of 16 registers (AVX2) or of 32 (AVX-512).
_WIDE = bool(llvm.get_host_cpu_features().get("avx512f", False))
LANES, ROWS = (16, 12) if _WIDE else (8, 6)
COLUMNS = 2 * LANES
_LINE = 64  # bytes that come from memory at once

_NUMBER, _WHOLE = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_NUMBER, LANES)


class Packed(NamedTuple):
    """Weights (inner, outer) as panels of columns (panels, inner, COLUMNS), the last filled up."""

    panels: Floats
    outer: int

    def under(self, x: Floats) -> Floats:
        """x @ weights, (rows, outer); `x` (rows, inner) in C order."""
        into = np.empty((len(x), self.outer), np.float32)
        multiply(x, self.panels, into)
        return into


def pack(*weights: Floats) -> list[Packed]:
    """Each of them packed, all in one piece of memory, so that it is large enough for large pages."""
    panels = [-(-array.shape[1] // COLUMNS) for array in weights]
    sizes = [count * len(array) * COLUMNS for count, array in zip(panels, weights, strict=True)]
    room = np.zeros(sum(sizes) + _LINE, np.float32)
    place = -(room.ctypes.data // 4) % (_LINE // 4)
    found = []
    for array, count, size in zip(weights, panels, sizes, strict=True):
        inner, outer = array.shape
        part = room[place : place + size].reshape(count, inner, COLUMNS)
        for panel, columns in zip(part, range(0, outer, COLUMNS), strict=True):
            some = array[:, columns : columns + COLUMNS]
            panel[:, : some.shape[1]] = some
        found.append(Packed(part, outer))
        place += size
    return found


def _tile_code(
    _: Any, rows: Any, x: Any, x_step: Any, panel: Any, inner: Any, into: Any, into_step: Any
) -> tuple[Any, Any]:
    """`rows` x COLUMNS sums. `x`, `panel`, `into`: addresses; steps: numbers from one row to the next."""

    def emit(context: Any, builder: ir.IRBuilder, _: Any, given: Any) -> Any:
        _, x, x_step, panel, inner, into, into_step = given
        pointer = ir.PointerType()
        x, panel, into = (builder.inttoptr(address, pointer) for address in (x, panel, into))

        def at(base: Any, *offset: Any) -> Any:
            for one in offset:
                base = builder.gep(base, [one], source_etype=_NUMBER)
            return base

        def times(step: Any, count: int) -> Any:
            return builder.mul(step, ir.Constant(_WHOLE, count))

        count = rows.literal_value
        lines = [at(x, times(x_step, i)) for i in range(count)]
        before, body, after = builder.block, *(builder.append_basic_block(n) for n in ("body", "after"))
        builder.branch(body)
        builder.position_at_end(body)
        place, sums = builder.phi(_WHOLE), [builder.phi(_VECTOR) for _ in range(2 * count)]
        first = times(place, COLUMNS)
        weights = [
            builder.load(at(panel, first, ir.Constant(_WHOLE, half * LANES)), align=4, typ=_VECTOR)
            for half in range(2)
        ]
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        fused = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module, kind, f"llvm.fma.v{LANES}f32"
        )
        grown: list[Any] = []
        for line in lines:
            same = _spread(builder, builder.load(at(line, place), align=4, typ=_NUMBER))
            done = len(grown)
            grown += [builder.call(fused, [same, w, sums[done + half]]) for half, w in enumerate(weights)]
        following = builder.add(place, ir.Constant(_WHOLE, 1))
        for phi, start, end in zip(
            [place, *sums],
            [ir.Constant(_WHOLE, 0), *[ir.Constant(_VECTOR, [0.0] * LANES)] * len(sums)],
            [following, *grown],
            strict=True,
        ):
            phi.add_incoming(start, before)
            phi.add_incoming(end, body)
        builder.cbranch(builder.icmp_signed("<", following, inner), body, after)
        builder.position_at_end(after)
        for i, found in enumerate(grown):
            target = at(into, times(into_step, i // 2), ir.Constant(_WHOLE, i % 2 * LANES))
            builder.store(found, target, align=4)
        return context.get_dummy_value()

    return types.void(rows, *[types.intp] * 6), emit


def _spread(builder: ir.IRBuilder, number: Any) -> Any:
    """A vector of one number."""
    empty = ir.Constant(_VECTOR, ir.Undefined)
    one = builder.insert_element(empty, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, empty, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _fetch_code(_: Any, address: Any) -> tuple[Any, Any]:
    """Ask for a line of memory, into the second cache."""

    def emit(context: Any, builder: ir.IRBuilder, _: Any, given: Any) -> Any:
        pointer, small = ir.PointerType(), ir.IntType(32)
        ask = builder.module.declare_intrinsic(
            "llvm.prefetch", [pointer], ir.FunctionType(ir.VoidType(), [pointer, small, small, small])
        )
        builder.call(ask, [builder.inttoptr(given[0], pointer), *(ir.Constant(small, n) for n in (0, 2, 1))])
        return context.get_dummy_value()

    return types.void(types.intp), emit


# Their first argument is Numba's own.
_tile: Any = intrinsic(prefer_literal=True)(_tile_code)
_fetch: Any = intrinsic(_fetch_code)
_compiled = numba.njit(nogil=True, cache=True, error_model="numpy")


@_compiled  # type: ignore[untyped-decorator]
def _rest(count: int, x: int, x_step: int, panel: int, inner: int, into: int, into_step: int) -> None:
    """Less than ROWS rows, by the binary digits of `count`: tiles of every size take long to compile."""
    if count & 8:
        _tile(8, x, x_step, panel, inner, into, into_step)
        x, into = x + 32 * x_step, into + 32 * into_step
    if count & 4:
        _tile(4, x, x_step, panel, inner, into, into_step)
        x, into = x + 16 * x_step, into + 16 * into_step
    if count & 2:
        _tile(2, x, x_step, panel, inner, into, into_step)
        x, into = x + 8 * x_step, into + 8 * into_step
    if count & 1:
        _tile(1, x, x_step, panel, inner, into, into_step)


@_compiled  # type: ignore[untyped-decorator]
def multiply(x: Floats, panels: Floats, into: Floats) -> None:
    """into = x @ weights: (rows, inner) by (panels, inner, COLUMNS), (rows, outer); all in C order."""
    rows, inner, outer = len(x), x.shape[1], into.shape[1]
    spare = np.empty((ROWS, COLUMNS), np.float32)
    size = 4 * inner * COLUMNS  # of a panel, in bytes
    start, end = panels.ctypes.data, panels.ctypes.data + len(panels) * size
    tiles = (rows + ROWS - 1) // ROWS
    share = (size // _LINE + tiles - 1) // tiles * _LINE
    for number in range(len(panels)):
        panel, left = start + number * size, outer - number * COLUMNS
        coming = panel + size
        for row in range(0, rows, ROWS):
            # Each tile of this panel asks for a part of the next one.
            for line in range(coming, min(coming + share, end), _LINE):
                _fetch(line)
            coming += share
            target, step = into.ctypes.data + 4 * (row * outer + number * COLUMNS), outer
            if left < COLUMNS:
                target, step = spare.ctypes.data, COLUMNS
            count = min(ROWS, rows - row)
            if count == ROWS:
                _tile(ROWS, x.ctypes.data + 4 * row * inner, inner, panel, inner, target, step)
            else:
                _rest(count, x.ctypes.data + 4 * row * inner, inner, panel, inner, target, step)
            if left < COLUMNS:
                for i in range(count):
                    for j in range(left):
                        into[row + i, number * COLUMNS + j] = spare[i, j]

"""What is learnt of a number column in one pass, part by part: count, ends, moments, and the grid of its values.

Wide tables would make SQL of ten thousand aggregates, which takes Spark minutes to compile; here a column more is a few
NumPy calls more a batch.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc
from numpy.typing import NDArray

MOST_DECIMALS = 4
"""Finer grids of floats than this do not count as one."""
_FIRST = 64
"""Values that most often show already that a column lies on no grid."""

End = int | Decimal | float
_ENDS = {"int": int, "Decimal": Decimal, "float": float}

SCHEMA = """
    place int, kind string, least string, greatest string, low double, high double, grid string,
    count bigint, mean double, squares double, log_count bigint, log_mean double, log_squares double, drawn binary
"""
"""Of summaries on their way from task to task, as Spark calls it: the place of a column among those that are asked for,
or -1 with the number of rows, or -2 with rows that were drawn; ends and grids as text, for they have any size."""
_DRAWN = -2
CLASS, IS_DRAWN = "class", "is_drawn"
"""Columns of rows that may be drawn."""
_TYPES = {"int": pa.int32(), "string": pa.string(), "double": pa.float64(), "bigint": pa.int64(), "binary": pa.binary()}
_ARROW = pa.schema([(name, _TYPES[kind]) for name, kind in (field.split() for field in SCHEMA.split(","))])


@dataclass(frozen=True)
class Moments:
    """Of `count` numbers."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    """Sum of the squared distances to the mean."""

    @classmethod
    def of(cls, x: NDArray[np.float64]) -> "Moments":
        """Those of an array."""
        if not len(x):
            return cls()
        with np.errstate(invalid="ignore", over="ignore"):
            mean = float(x.mean())
            return cls(len(x), mean, float(((x - mean) ** 2).sum()))

    def __add__(self, other: "Moments") -> "Moments":
        """Of both together (Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115)."""
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        apart = other.mean - self.mean
        share = other.count / count
        return Moments(count, self.mean + apart * share, self.squares + other.squares + apart**2 * self.count * share)

    @property
    def deviation(self) -> float:
        """Population standard deviation."""
        return math.sqrt(self.squares / self.count) if self.count else 0.0


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What is known of a part of a column, whose nulls and NaN do not count."""

    numbers: Moments = Moments()
    logs: Moments = Moments()
    """Of the numbers on a signed log scale, where that was asked for."""
    least: End | None = None
    greatest: End | None = None
    """As the column has them, exactly: instants in microseconds and dates in days since 1970."""
    low: float = math.inf
    high: float = -math.inf
    """The ends of the numbers."""
    grid: int = 0
    """Of floats the decimals of a grid that all lie on, MOST_DECIMALS + 1 where they lie on none; of all others the
    greatest common divisor, of decimals in units of their last digit."""

    def __add__(self, other: "Summary") -> "Summary":
        """Of both parts together."""
        is_float = any(isinstance(s.least, float) for s in (self, other))
        ends = [s for s in (self, other) if s.least is not None]
        return Summary(
            numbers=self.numbers + other.numbers,
            logs=self.logs + other.logs,
            least=min((s.least for s in ends), default=None),  # type: ignore[type-var]
            greatest=max((s.greatest for s in ends), default=None),  # type: ignore[type-var]
            low=min(self.low, other.low),
            high=max(self.high, other.high),
            grid=max(self.grid, other.grid) if is_float else math.gcd(self.grid, other.grid),
        )


def summary(column: pa.Array, number: pa.Array | None, *, is_log: bool, so_far: int) -> Summary:
    """That of one batch.

    Parameters
    ----------
    column : pyarrow Array
        Numbers, decimals, dates or timestamps.
    number : pyarrow Array of double, optional
        What is scaled of them, null where it is not learnt from; without it they themselves.
    is_log : bool
        Whether the moments on a log scale are asked for.
    so_far : int
        The grid that the batches before lie on, which this one only makes finer.
    """
    kind = column.type
    if pa.types.is_temporal(kind):
        column = column.view(pa.int32()).cast(pa.int64()) if pa.types.is_date32(kind) else column.view(pa.int64())
    x = (column if number is None else number).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    is_there = ~np.isnan(x)
    if not is_there.all():
        x, column = x[is_there], column.filter(pa.array(is_there))
    if not len(x):
        return Summary(grid=so_far)
    ends: tuple[Any, Any]
    if pa.types.is_floating(kind):
        floats = x if number is None else column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        ends = float(floats.min()), float(floats.max())
        grid = _decimals(floats, 1e-6 if pa.types.is_float32(kind) else 1e-12, so_far)
    else:
        found = pc.min_max(column)
        ends = found["min"].as_py(), found["max"].as_py()
        grid = _divisor(column, so_far)
    return Summary(
        numbers=Moments.of(x),
        logs=Moments.of(np.sign(x) * np.log1p(np.abs(x))) if is_log else Moments(),
        least=ends[0],
        greatest=ends[1],
        low=float(x.min()),
        high=float(x.max()),
        grid=grid,
    )


def is_on_decimals(x: NDArray[np.float64], decimals: int, precision: float) -> NDArray[np.bool_]:
    """Whether floats are whole multiples of 10^-decimals, up to their own relative `precision`."""
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = x * 10.0**decimals
        found: NDArray[np.bool_] = np.abs(scaled - np.rint(scaled)) <= np.minimum(np.abs(scaled) * precision, 1e-3)
    return found


def _decimals(x: NDArray[np.float64], precision: float, decimals: int) -> int:
    """The fewest decimals, `decimals` at least, that all values have."""
    for part in (x[:_FIRST], x[_FIRST:]):
        while decimals <= MOST_DECIMALS and not is_on_decimals(part, decimals, precision).all():
            decimals += 1
    return decimals


def _divisor(column: pa.Array, so_far: int) -> int:
    """The greatest common divisor of whole numbers or decimals, which have no nulls, and of `so_far`."""
    if so_far == 1:
        return 1
    if not pa.types.is_decimal(column.type):
        whole = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
    else:
        low, high = np.frombuffer(column.buffers()[1], np.int64).reshape(-1, 2)[column.offset :][: len(column)].T
        if not np.array_equal(high, low >> 63):  # more than 64 bits
            unit = 10**column.type.scale
            return math.gcd(so_far, *(int(Fraction(value) * unit) for value in column.to_pylist()))
        whole = low
    for part in (whole[:_FIRST], whole[_FIRST:]):
        # Most often they are on the grid so far, which a remainder tells faster.
        if not 0 < so_far < 2**63 or np.any(part % so_far):
            so_far = math.gcd(so_far, int(np.gcd.reduce(part)))
    return so_far


class Asked(NamedTuple):
    """A column of the batches that is summed up."""

    column: str
    number: str = ""
    """The column of what is scaled of it, where that is another."""
    is_log: bool = False


def summaries(
    batches: Iterable[pa.RecordBatch], asked: Sequence[Asked], *, draws: bool = False
) -> Iterator[pa.RecordBatch]:
    """The summary of each column that is asked for, over all batches of a task, as `SCHEMA` has it.

    Parameters
    ----------
    draws
        Whether the rows that IS_DRAWN go along, with the columns asked for and CLASS.
    """
    found, rows = [Summary() for _ in asked], 0
    drawn: list[pa.RecordBatch] = []
    for batch in batches:
        rows += batch.num_rows
        if draws:
            drawn.append(batch.select([*[of.column for of in asked], CLASS]).filter(batch.column(IS_DRAWN)))
        for place, of in enumerate(asked):
            number = batch.column(of.number) if of.number else None
            so_far = found[place]
            found[place] += summary(batch.column(of.column), number, is_log=of.is_log, so_far=so_far.grid)
    yield _batch({-1: Summary(numbers=Moments(rows)), **dict(enumerate(found))}, [_to_bytes(drawn)] if drawn else [])


def together(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """One summary for each column that `summaries` made several of."""
    found: dict[int, Summary] = {}
    drawn: list[bytes] = []
    for batch in batches:
        rows = batch.to_pylist()
        drawn += [row["drawn"] for row in rows if row["place"] == _DRAWN]
        for place, one in by_place(rows):
            found[place] = found.get(place, Summary()) + one
    yield _batch(found, drawn)


def drawn_rows(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """All rows that were drawn, of rows of `SCHEMA`."""
    parts = [ipc.open_stream(row["drawn"]).read_all() for row in rows if row["place"] == _DRAWN]
    return pa.concat_tables(parts) if parts else pa.table({})


def _to_bytes(batches: Sequence[pa.RecordBatch]) -> bytes:
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def by_place(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[int, Summary]]:
    """Rows of `SCHEMA` as the summaries that they are."""
    for row in rows:
        if row["place"] == _DRAWN:
            continue
        end = _ENDS.get(row["kind"])
        yield (
            row["place"],
            Summary(
                numbers=Moments(row["count"], row["mean"], row["squares"]),
                logs=Moments(row["log_count"], row["log_mean"], row["log_squares"]),
                least=end(row["least"]) if end else None,
                greatest=end(row["greatest"]) if end else None,
                low=row["low"],
                high=row["high"],
                grid=int(row["grid"]),
            ),
        )


def _batch(found: dict[int, Summary], drawn: Sequence[bytes]) -> pa.RecordBatch:
    nothing = Summary()
    rows = [
        (
            place, "" if s.least is None else type(s.least).__name__, str(s.least), str(s.greatest), s.low, s.high,
            str(s.grid), *vars(s.numbers).values(), *vars(s.logs).values(), of_rows,
        )
        for place, s, of_rows in [
            *((place, s, None) for place, s in found.items()), *((_DRAWN, nothing, part) for part in drawn)
        ]
    ]  # fmt: skip
    columns = [pa.array([row[i] for row in rows], field.type) for i, field in enumerate(_ARROW)]
    return pa.RecordBatch.from_arrays(columns, schema=_ARROW)

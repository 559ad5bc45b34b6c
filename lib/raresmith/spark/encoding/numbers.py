"""What is learnt of number columns before they are scaled: ends, spread, grid, and values far beyond all others."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import Normalisation
from raresmith.encoding.encoder import exactly
from raresmith.spark.columns import LABEL, col
from raresmith.spark.encoding.encode import as_number, counted, exact_number, power_of_ten, signed_log

MOST_DECIMALS = 4
"""Finer grids of floats than this do not count as one."""
FAR = 2.0**24
"""How many times as large as all others a value is that they are learnt without: a float of 32 bits that holds it
cannot tell them apart. No natural tail has such a gap."""
FAR_SHARE = 100
"""One in so many values may lie so far beyond the others; where more do, they are no slips."""
FAR_SHARE_IN_CLASS = 20
"""The same within a class, of which a single value may be so far however few there are."""
INTEGERS = (t.ByteType, t.ShortType, t.IntegerType, t.LongType)
INSTANTS = (t.TimestampType, t.TimestampNTZType)
FLOATS = (t.FloatType, t.DoubleType)
_CLOCK = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1_000)
"""Microseconds of a day, an hour, a minute, a second and a millisecond."""


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """A number column of the train rows."""

    field: t.StructField
    normalisation: Normalisation
    made: bool
    """Whether it is made here and not in the raw table."""
    step: float = 0.0
    origin: int | None = None
    outlier: float | None = None
    """As in `NumericFeature`, all three."""
    count: int = 0
    """Values that are not null."""
    least: int | Decimal | float | None = None
    greatest: int | Decimal | float | None = None
    """In raw units, exactly."""
    low: float = 0.0
    high: float = 0.0
    mean: float = 0.0
    deviation: float = 0.0
    log_mean: float = 0.0
    """In the units of the feature's numbers; the deviation on a log scale where that is asked for."""

    @property
    def name(self) -> str:
        """Of the column."""
        return self.field.name

    @property
    def kind(self) -> t.DataType:
        """The column's type."""
        return self.field.dataType

    @property
    def number(self) -> Column:
        """What is scaled, null where it is not learnt from."""
        x = counted(col(self.name), self.kind, self.step, self.origin)
        return x if self.outlier is None else F.when(self.magnitude <= self.outlier, x)

    @property
    def magnitude(self) -> Column:
        """The size of a value in raw units."""
        return F.abs(as_number(col(self.name), self.kind))

    @property
    def size(self) -> float:
        """The largest size of its values, in raw units."""
        return max((abs(float(end)) for end in (self.least, self.greatest) if end is not None), default=0.0)


def learnt(train: DataFrame, columns: Sequence[Numbers]) -> tuple[list[Numbers], int]:
    """`columns` with all that is learnt, and the number of rows.

    One pass for ends and spread, and one over the columns that may lie on a grid or have a value far beyond the others;
    two more where there is such a value, or a column that 64-bit floats do not hold.
    """
    rows, found = _spread(train, columns)
    if not rows:
        return found, 0
    found, suspects = _on_grids(train, found)
    outliers = _outliers(train, suspects)
    found = [replace(c, outlier=outliers.get(c.name)) for c in found]
    found = _learnt_again(train, found, [c for c in found if c.outlier is not None])
    return _learnt_again(train, found, [replace(c, origin=_origin(c)) for c in found if _is_wide(c)]), rows


def _learnt_again(train: DataFrame, columns: Sequence[Numbers], changed: Sequence[Numbers]) -> list[Numbers]:
    """`columns` with the ends and spread of those that are `changed`; how many values there are stays."""
    anew = {c.name: c for c in _spread(train, changed)[1]} if changed else {}
    return [replace(anew.get(c.name, c), count=c.count) for c in columns]


def _spread(train: DataFrame, columns: Sequence[Numbers]) -> tuple[int, list[Numbers]]:
    """The number of rows; and count, ends, mean and deviation of each column in one pass."""
    aggregates: dict[str, Column] = {"rows": F.count(F.lit(1))}
    for i, c in enumerate(columns):
        x, exact = c.number, exact_number(col(c.name), c.kind)
        if isinstance(c.kind, FLOATS) or c.outlier is not None:
            exact = F.when(x.isNotNull(), exact)
        of_column = {
            "count": F.count(x),
            "least": F.min(exact),
            "greatest": F.max(exact),
            "mean": F.avg(x),
            "deviation": F.stddev_pop(signed_log(x) if c.normalisation == "log" else x),
        }
        if c.normalisation == "log":
            of_column["log_mean"] = F.avg(signed_log(x))
        if c.origin is not None:
            of_column |= {"low": F.min(x), "high": F.max(x)}
        aggregates |= {f"{i} {what}": aggregate for what, aggregate in of_column.items()}
    first = train.agg(*[aggregate.alias(name) for name, aggregate in aggregates.items()]).first()
    assert first is not None
    row, found = first.asDict(), []
    for i, c in enumerate(columns):
        of: dict[str, Any] = {what: row[f"{i} {what}"] for what in ("count", "least", "greatest")}
        of |= {what: float(row.get(f"{i} {what}") or 0.0) for what in ("mean", "deviation", "log_mean", "low", "high")}
        if c.origin is None and of["count"]:
            of |= {"low": float(of["least"]), "high": float(of["greatest"])}
        found.append(replace(c, **of))
    return row["rows"], found


def _is_wide(c: Numbers) -> bool:
    """Whether there and back through 64-bit floats as they are would lose a step.

    It rounds the distance to the center three times and the value once, each by 2^-53 of its size. With scale 1 around
    0 nothing is rounded. A logarithm counts from 0 or nowhere.
    """
    if isinstance(c.kind, FLOATS) or c.least is None or c.greatest is None or c.normalisation == "log":
        return False
    distance = 0 if c.normalisation == "none" else Fraction(c.greatest) - Fraction(c.least)
    return (3 * distance + Fraction(c.size)) / exactly(c.step) >= 2**52


def _origin(c: Numbers) -> int:
    assert c.least is not None
    return int(Fraction(c.least) / exactly(c.step))


def _on_grids(train: DataFrame, columns: Sequence[Numbers]) -> tuple[list[Numbers], list[Numbers]]:
    """`columns` with the grid that each one's values lie on, so that made ones can: cents stay cents, midnights
    midnights; and those of them that may have a value far beyond the others."""
    aggregates: dict[str, Column] = {}
    grids = [_grids(c) for c in columns]
    suspects = [c for c in columns if _is_suspect(c)]
    for i, (c, of_column) in enumerate(zip(columns, grids, strict=True)):
        place: Column | int = len(of_column)
        for nth, (_, is_on) in reversed([*enumerate(of_column)]):
            place = F.when(is_on, nth).otherwise(place)
        if of_column:
            aggregates[f"{i} grid"] = F.max(F.when(c.number.isNotNull(), place))
    for i, c in enumerate(suspects):
        aggregates[f"{i} far"] = F.count_if(c.magnitude > c.size / FAR)
    first = train.agg(*[column.alias(name) for name, column in aggregates.items()]).first() if aggregates else None
    row = first.asDict() if first else {}
    steps = [
        [*(step for step, _ in of_column), finest_step(c.kind)] for c, of_column in zip(columns, grids, strict=True)
    ]
    found = [replace(c, step=steps[i][row.get(f"{i} grid", -1)]) for i, c in enumerate(columns)]
    return found, [c for i, c in enumerate(suspects) if row[f"{i} far"] <= c.count // FAR_SHARE]


def finest_step(kind: t.DataType) -> float:
    """The grid that all values of a type lie on, or 0."""
    if isinstance(kind, FLOATS):
        return 0.0
    return float(power_of_ten(-kind.scale)) if isinstance(kind, t.DecimalType) else 1.0


def _grids(c: Numbers) -> list[tuple[float, Column]]:
    """The grids that both ends of a column lie on, the coarsest first, and whether a value does; the finest is left
    out, for all values lie on that."""
    if c.least is None or c.greatest is None:
        return []
    ends, kind = (c.least, c.greatest), c.kind
    if isinstance(kind, FLOATS):
        # The two values that are known already rule most columns out.
        if not all(_is_on_decimals(float(end), MOST_DECIMALS, kind) for end in ends):
            return []
        x = as_number(col(c.name), kind)
        return [(10.0**-d, _on_decimals(x, d, kind)) for d in range(MOST_DECIMALS + 1)]
    if c.made or c.least == c.greatest:
        return []
    steps: list[Decimal] = []
    if isinstance(kind, INSTANTS):
        steps = [Decimal(step) for step in _CLOCK]
    elif isinstance(kind, t.DecimalType):
        steps = [power_of_ten(n) for n in reversed(range(1 - kind.scale, min(kind.precision - kind.scale, 18)))]
    elif isinstance(kind, INTEGERS):
        steps = [power_of_ten(n) for n in reversed(range(1, 19))]
    x = exact_number(col(c.name), kind)
    return [
        (float(step), x % (F.lit(step) if isinstance(kind, t.DecimalType) else int(step)) == 0)
        for step in steps
        if all((Fraction(end) / Fraction(step)).denominator == 1 for end in ends)
    ]


def _on_decimals(x: Column, decimals: int, kind: t.DataType) -> Column:
    """Whether a float is a whole multiple of 10^-decimals, up to its own precision."""
    scaled = x * 10.0**decimals
    return F.abs(scaled - F.rint(scaled)) <= F.least(F.abs(scaled) * _precision(kind), F.lit(1e-3))


def _is_on_decimals(x: float, decimals: int, kind: t.DataType) -> bool:
    """The same of one value on the driver."""
    scaled = x * 10.0**decimals
    return abs(scaled - float(np.rint(scaled))) <= min(abs(scaled) * _precision(kind), 1e-3)


def _precision(kind: t.DataType) -> float:
    return 1e-6 if isinstance(kind, t.FloatType) else 1e-12


def _is_suspect(c: Numbers) -> bool:
    """Whether ends and spread allow a value far beyond the others.

    A share p of values of size L, beside which the others are nothing, has a deviation of at most L √p and a mean of at
    most L p, so that L is at least (1 - p)/√p deviations from the mean.
    """
    if c.count < FAR_SHARE or c.least == c.greatest or isinstance(c.kind, (*INSTANTS, t.DateType)):
        return False  # how far a moment is from 1970 says nothing
    if c.normalisation == "log" or not math.isfinite(c.deviation):
        return True
    share = c.count // FAR_SHARE / c.count
    farthest = max(c.high - c.mean, c.mean - c.low)
    return farthest >= 0.9 * (1 - share) / math.sqrt(share) * c.deviation


def _outliers(train: DataFrame, columns: Sequence[Numbers]) -> dict[str, float]:
    """For columns with a gap of `FAR` in the sizes of their values, few of which lie above in each class, the size that
    is too much: what is rare in the table but not within its class is what is looked for.

    Values are counted by powers of two, so that it is the same whatever their order.
    """
    if not columns:
        return {}
    sizes = [F.struct(F.lit(i).alias("column"), c.magnitude.alias("size")) for i, c in enumerate(columns)]
    scales = (
        train.select(LABEL, F.explode(F.array(*sizes)).alias("value"))
        .select(LABEL, "value.column", "value.size")
        .groupBy("column", LABEL, F.when(F.col("size") > 0, F.floor(F.log2("size"))).alias("scale"))
        .agg(F.count("size").alias("values"), F.min("size").alias("least"), F.max("size").alias("greatest"))
        .collect()
    )
    limits = {c.name: _outlier([row for row in scales if row["column"] == i]) for i, c in enumerate(columns)}
    return {name: limit for name, limit in limits.items() if limit is not None}


def _outlier(scales: Sequence[Row]) -> float | None:
    """The size that is too much for a column whose values are so many of each class and power of two."""
    most: Counter[int] = Counter()
    by_scale: dict[int, list[Row]] = {}
    for row in scales:
        most[row[LABEL]] += row["values"]
        if row["scale"] is not None:
            by_scale.setdefault(row["scale"], []).append(row)
    limit, beyond = None, Counter[int]()
    for below, above in reversed([*pairwise(sorted(by_scale))]):
        beyond.update({row[LABEL]: row["values"] for row in by_scale[above]})
        if beyond.total() > most.total() // FAR_SHARE or any(
            n > max(1, most[label] // FAR_SHARE_IN_CLASS) for label, n in beyond.items()
        ):
            break
        greatest = max(row["greatest"] for row in by_scale[below])
        if min(row["least"] for row in by_scale[above]) > FAR * greatest:
            limit = FAR * greatest
    return limit

"""What is learnt of number columns before they are scaled: ends, spread, grid, and values far beyond all others."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import partial
from itertools import pairwise

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import Normalisation
from raresmith.encoding.day_numbers import are_day_numbers
from raresmith.encoding.encoder import exactly
from raresmith.encoding.masses import masses
from raresmith.encoding.summary import (
    CLASS,
    IS_DRAWN,
    MOST_DECIMALS,
    SCHEMA,
    Asked,
    Summary,
    by_place,
    drawn_rows,
    summaries,
    together,
)
from raresmith.spark.columns import LABEL, quoted
from raresmith.spark.encoding.encode import as_number, counted, is_no_day, numbers_of, power_of_ten

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
ENOUGH = 30
"""Values that do not have a common divisor by chance, which so many are all even once in a billion times."""
_MERGING_TASKS = 8
_CLOCK = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1_000)
"""Microseconds of a day, an hour, a minute, a second and a millisecond."""


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """A number column of the train rows."""

    field: t.StructField
    normalisation: Normalisation
    made: bool
    """Whether it is made here and not in the raw table."""
    masses: tuple[str, ...] = ()
    """As in `NumericFeature`; all that follows is of the other values, but for `count`."""
    is_day_number: bool = False
    step: float = 0.0
    origin: int | None = None
    outlier: float | None = None
    """As in `NumericFeature`, all four."""
    count: int = 0
    """Values that are not null, masses among them."""
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
        """The type of its numbers: the column's, or that of the dates that it has as numbers."""
        return self._numbers[1]

    @property
    def others(self) -> str:
        """The column as SQL text, null where it is a mass."""
        return self._numbers[0]

    @property
    def _numbers(self) -> tuple[str, t.DataType]:
        return numbers_of(quoted(self.name), self.field.dataType, self)

    @property
    def number(self) -> Column:
        """What is scaled, null where it is not learnt from."""
        x = F.expr(counted(self.others, self.kind, self.step, self.origin))
        return x if self.outlier is None else F.when(self.magnitude <= self.outlier, x)

    @property
    def magnitude(self) -> Column:
        """The size of a value in raw units."""
        return F.expr(f"abs({as_number(self.others, self.kind)})")

    def summed_up(self, found: Summary) -> "Numbers":
        """The column with what was found of it."""
        spread = found.logs if self.normalisation == "log" else found.numbers
        count, ends = found.numbers.count, (found.least, found.greatest)
        low, high = (found.low, found.high) if self.origin is not None else ends
        return replace(
            self,
            count=count,
            least=found.least,
            greatest=found.greatest,
            low=float(low) if count and low is not None else 0.0,
            high=float(high) if count and high is not None else 0.0,
            mean=found.numbers.mean,
            deviation=spread.deviation,
            log_mean=found.logs.mean,
        )

    @property
    def size(self) -> float:
        """The largest size of its values, in raw units."""
        return max((abs(float(end)) for end in (self.least, self.greatest) if end is not None), default=0.0)


def learnt(train: DataFrame, columns: Sequence[Numbers], drawn: Column | None) -> tuple[list[Numbers], int]:
    """`columns` with all that is learnt, and the number of rows.

    One pass for ends, spread and grid; one more where a column has masses or dates as numbers, or may have a value far
    beyond the others, and two where it has one or 64-bit floats do not hold the column. One for whether all numbers
    that look like dates are some.

    Parameters
    ----------
    drawn
        Which rows' values are counted to find masses; none are looked for without it.
    """
    rows, summaries, looked_at = _summed_up(train, columns, drawn)
    if not rows:
        return [*columns], 0
    found = [_on_grid(c, summary) for c, summary in zip(columns, summaries, strict=True)]
    found = _learnt_again(train, found, _told_apart(train, found, looked_at), _on_grid)
    outliers = _outliers(train, _suspects(train, found))
    found = [replace(c, outlier=outliers.get(c.name)) for c in found]
    found = _learnt_again(train, found, [c for c in found if c.outlier is not None])
    return _learnt_again(train, found, [replace(c, origin=_origin(c)) for c in found if _is_wide(c)]), rows


def _on_grid(c: Numbers, summary: Summary) -> Numbers:
    """The column with what was found of it, and its grid."""
    found = c.summed_up(summary)
    return replace(found, step=_step(found, summary.grid))


def _told_apart(train: DataFrame, columns: Sequence[Numbers], looked_at: pa.Table) -> list[Numbers]:
    """Those of the columns that have masses, or dates as numbers, among the rows `looked_at`; what is made here is no
    value of anybody's."""
    if not looked_at.num_rows:
        return []
    classes = looked_at.column(CLASS).to_numpy()
    raw = {i: c for i, c in enumerate(columns) if not c.made}
    found = {i: replace(c, masses=masses(looked_at.column(f"{i}"), classes)) for i, c in raw.items()}
    dates = [i for i, c in found.items() if _is_whole(c.kind) and _are_dates(looked_at.column(f"{i}"), c)]
    if dates:
        # What is no date in a row that was not looked at would be lost.
        others = [is_no_day(quoted(c.name), c.field.dataType, c) for c in map(found.__getitem__, dates)]
        row = train.agg(*[F.expr(f"count_if({condition})") for condition in others]).first()
        assert row is not None
        found |= {i: replace(found[i], is_day_number=True) for i, n in zip(dates, row, strict=True) if not n}
    return [c for c in found.values() if c.masses or c.is_day_number]


def _is_whole(kind: t.DataType) -> bool:
    return isinstance(kind, INTEGERS) or (isinstance(kind, t.DecimalType) and kind.scale == 0)


def _are_dates(values: pa.ChunkedArray, c: Numbers) -> bool:
    without_masses = {*values.unique().to_pylist()} - {None, *map(int, c.masses)}
    return are_day_numbers(without_masses)


def _learnt_again(
    train: DataFrame,
    columns: Sequence[Numbers],
    changed: Sequence[Numbers],
    found: Callable[[Numbers, Summary], Numbers] = Numbers.summed_up,
) -> list[Numbers]:
    """`columns` with what is `found` of those that are `changed`; how many values there are stays."""
    if not changed:
        return [*columns]
    _, summaries, _ = _summed_up(train, changed)
    anew = {c.name: found(c, summary) for c, summary in zip(changed, summaries, strict=True)}
    return [replace(anew.get(c.name, c), count=c.count) for c in columns]


def _summed_up(
    train: DataFrame, columns: Sequence[Numbers], drawn: Column | None = None
) -> tuple[int, list[Summary], pa.Table]:
    """The number of rows, what is found of each column in one pass, and the rows that are `drawn`."""
    selected: list[Column] = []
    asked = []
    for i, c in enumerate(columns):
        selected.append(F.expr(f"{c.others} AS `{i}`"))
        has_own = c.origin is not None or c.outlier is not None
        if has_own:
            selected.append(c.number.alias(f"{i} number"))
        asked.append(Asked(f"{i}", f"{i} number" if has_own else "", c.normalisation == "log"))
    if drawn is not None:
        selected += [F.col(LABEL).alias(CLASS), drawn.alias(IS_DRAWN)]
    selected = selected or [F.lit(0)]  # batches without columns have no rows
    parts = train.select(*selected).mapInArrow(partial(summaries, asked=asked, draws=drawn is not None), SCHEMA)
    merged = parts.repartition(_MERGING_TASKS, "place").mapInArrow(together, SCHEMA)
    rows = [row.asDict() for row in merged.collect()]
    found, nothing = dict(by_place(rows)), Summary()
    return (
        found.get(-1, nothing).numbers.count,
        [found.get(i, nothing) for i in range(len(columns))],
        drawn_rows(rows),
    )


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


def _suspects(train: DataFrame, columns: Sequence[Numbers]) -> list[Numbers]:
    """Those of the columns that may have a value far beyond the others."""
    suspects = [c for c in columns if _is_suspect(c)]
    if not suspects:
        return []
    row = train.agg(*[F.count_if(c.magnitude > c.size / FAR) for c in suspects]).first()
    assert row is not None
    return [c for c, far in zip(suspects, row, strict=True) if far <= c.count // FAR_SHARE]


def _step(c: Numbers, grid: int) -> float:
    """The grid that a column's values lie on, so that made ones can: cents stay cents, midnights midnights.

    Parameters
    ----------
    grid
        What `Summary` says of the values.
    """
    if isinstance(c.kind, FLOATS):
        return 10.0**-grid if c.count and grid <= MOST_DECIMALS else 0.0
    if c.made or c.least == c.greatest:
        return finest_step(c.kind)
    if isinstance(c.kind, (*INTEGERS, *INSTANTS)) and c.count >= ENOUGH and 1 < grid < 2**53:
        return float(grid)
    unit = Decimal(1)
    steps: list[Decimal] = []
    if isinstance(c.kind, INSTANTS):
        steps = [Decimal(step) for step in _CLOCK]
    elif isinstance(c.kind, t.DecimalType):
        unit = power_of_ten(-c.kind.scale)
        steps = [power_of_ten(n) for n in reversed(range(1 - c.kind.scale, min(c.kind.precision - c.kind.scale, 18)))]
    elif isinstance(c.kind, INTEGERS):
        steps = [power_of_ten(n) for n in reversed(range(1, 19))]
    return next((float(step) for step in steps if grid % int(step / unit) == 0), finest_step(c.kind))


def finest_step(kind: t.DataType) -> float:
    """The grid that all values of a type lie on, or 0."""
    if isinstance(kind, FLOATS):
        return 0.0
    return float(power_of_ten(-kind.scale)) if isinstance(kind, t.DecimalType) else 1.0


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

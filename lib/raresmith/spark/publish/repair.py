"""Made rows brought to keep the constraints, in the raw schema.

A row that breaks a constraint is mended in three steps:

1. Each constraint by itself, in this order. Not null: the base row's value. Range: the nearest end. Combination and
   order: the base row's values of all its columns. Sum: its total becomes what the columns add up to; where that is a
   number, the last column becomes what is missing.
2. Where one is broken even then, for others change its columns too: the base row's values in all columns of the
   constraints that share columns with it, directly or by others. They keep whatever the base row keeps.
3. Where one is broken even then, for the base row breaks it too, the row is left out.

A row without a base row, made from noise, is left out where it breaks one.

A row that keeps all of them is not touched, so to mend again changes nothing; in others no column is touched but those
of constraints that were broken and of those that share columns with them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from raresmith.spark.columns import BASE, col
from raresmith.spark.publish.constraints import Constraint

_BROKE, _BREAKS = "__broke", "__breaks"
"""For each constraint whether the row broke it as it was made, and whether it breaks it as it is."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What became of the rows that broke a constraint."""

    broken: int
    """Made rows that broke it as they were made."""
    left_out: int
    """Those among them that could not be mended."""
    originals: int
    """Original rows that break it; they stay as they are."""

    @property
    def repaired(self) -> int:
        """Made rows that broke it and keep it now."""
        return self.broken - self.left_out

    def __str__(self) -> str:
        return (
            f"broken by {self.broken:,} made rows, {self.repaired:,} repaired, {self.left_out:,} left out"
            f"{f'; broken by {self.originals:,} original rows' if self.originals else ''}"
        )


def repaired(made: DataFrame, constraints: Sequence[Constraint]) -> DataFrame:
    """`made` as mended, with all rows; `is_left_out` tells those that are not, and `counted` counts them.

    Parameters
    ----------
    made : DataFrame with the raw columns, the base row's values of those that constraints name as BASE + name, and
        parent_row_id
    constraints : at least one
    """
    rows = _judged(made, constraints, _BROKE)
    rows = _judged(_each_by_itself(rows, constraints), constraints, _BREAKS)
    rows = _judged(_by_base_rows(rows, constraints), constraints, _BREAKS)
    return rows.withColumn(_BREAKS, F.when(col("parent_row_id").isNull(), col(_BROKE)).otherwise(col(_BREAKS)))


def is_left_out() -> Column:
    """Whether a row of `repaired` breaks a constraint even so."""
    return F.array_contains(_BREAKS, True)


def counted(
    mended: DataFrame, originals: DataFrame, constraints: Sequence[Constraint]
) -> tuple[int, dict[str, Counts]]:
    """Rows of `mended` that are left out, and by constraint what became of those that broke it; in two jobs.

    Parameters
    ----------
    mended : as by `repaired`
    originals : DataFrame with the raw columns
    """
    broke = [F.get(_BROKE, F.lit(i)) for i in range(len(constraints))]
    judged = _judged(originals, constraints, _BROKE)
    of_made = mended.agg(
        F.count_if(is_left_out()), *[F.count_if(b) for b in broke], *[F.count_if(b & is_left_out()) for b in broke]
    ).first()
    of_originals = judged.agg(*[F.count_if(b) for b in broke]).first()
    assert of_made is not None
    assert of_originals is not None
    total, *each = of_made
    broken, left_out = each[: len(constraints)], each[len(constraints) :]
    counts = [Counts(broken=b, left_out=n, originals=o) for b, n, o in zip(broken, left_out, of_originals, strict=True)]
    return total, dict(zip([constraint.name for constraint in constraints], counts, strict=True))


def _judged(rows: DataFrame, constraints: Sequence[Constraint], into: str) -> DataFrame:
    """`rows` with the column `into`: for each constraint whether the row breaks it."""
    kept = [col(name) for name in rows.columns if name != into]
    breaks = []
    for i, constraint in enumerate(constraints):
        if isinstance(constraint.holds, Column):
            breaks.append(~constraint.holds)
            continue
        mark = f"__allowed_{i}"
        pairs = {name: f"{mark}_{j}" for j, name in enumerate(constraint.columns)}
        allowed = constraint.holds.select(*[col(n).alias(a) for n, a in pairs.items()], F.lit(True).alias(mark))
        rows = rows.join(allowed, reduce(and_, [col(n).eqNullSafe(col(a)) for n, a in pairs.items()]), "left")
        breaks.append(col(mark).isNull())
    return rows.select(*kept, F.array(*breaks).alias(into))


def _each_by_itself(rows: DataFrame, constraints: Sequence[Constraint]) -> DataFrame:
    for i, constraint in enumerate(constraints):
        holds = constraint.holds if isinstance(constraint.holds, Column) else ~F.get(_BROKE, F.lit(i))
        rows = _changed(rows, ~holds, constraint.repairs)
    return rows


def _by_base_rows(rows: DataFrame, constraints: Sequence[Constraint]) -> DataFrame:
    for group in _linked(constraints):
        breaks_one = reduce(or_, [F.get(_BREAKS, F.lit(i)) for i in group])
        names = {name for i in group for name in constraints[i].columns}
        rows = _changed(rows, breaks_one, {name: col(BASE + name) for name in sorted(names)})
    return rows


def _changed(rows: DataFrame, where: Column, values: Mapping[str, Column]) -> DataFrame:
    return rows.withColumns({name: F.when(where, value).otherwise(col(name)) for name, value in values.items()})


def _linked(constraints: Sequence[Constraint]) -> list[list[int]]:
    """Positions of the constraints in groups that have no column in common."""
    groups: list[list[int]] = []
    for i, constraint in enumerate(constraints):
        touching = [g for g in groups if any(set(constraints[j].columns) & set(constraint.columns) for j in g)]
        groups = [g for g in groups if g not in touching] + [[*(j for g in touching for j in g), i]]
    return groups

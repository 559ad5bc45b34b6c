"""Columns that tell the label: what windows make of them is computed from labels."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import Config
from raresmith.config.label_delay import too_early
from raresmith.encoding.encoder import Label
from raresmith.errors import ConfigError
from raresmith.spark.columns import LABEL, col
from raresmith.spark.encoding.encode import as_number
from raresmith.spark.tables import hashable

Range = tuple[float, float] | None
"""Least and greatest value in a class; None where it has none."""


def label_columns(train: DataFrame, label: Label, config: Config) -> set[str]:
    """The columns of `prepare.windows.mean` that tell the classes apart, after one aggregation of a line a class.

    A column does so where one class has values of a range that no other shares: a copy of the label, the amount of a
    chargeback, a time that only frauds have. A test row has no say in it.

    Raises
    ------
    ConfigError
        If a window looks at such a column before its delay, or looks back on an entity that is the label by another
        name.
    """
    windows = config.prepare.windows
    entities = dict.fromkeys(window.entity for window in windows)
    names = list(dict.fromkeys((*entities, *(name for window in windows for name in window.mean))))
    ranges = _ranges(train, [train.schema[name] for name in names])
    telling = {name for name in names if _tells([found[name] for found in ranges.values()])}
    for window in windows:
        if window.entity in telling and _is_one(next(iter(ranges.values()))[window.entity]):
            raise ConfigError(
                f"prepare.windows.entity names {window.entity!r}, which has one value in a class of {label.name!r} and "
                "others in the others: its windows would tell a row's own label; name another column"
            )
        for name in sorted(telling & {*window.mean}):
            if why := too_early(window.delay_days, config.source.label_delay_days):
                raise ConfigError(
                    f"prepare.windows.mean of {window.entity} names {name!r}, which tells the classes of "
                    f"{label.name!r} apart, and so {why}"
                )
    return telling & {name for window in windows for name in window.mean} | {label.name}


def _ranges(train: DataFrame, fields: Sequence[t.StructField]) -> dict[int, dict[str, Range]]:
    """The range of each column by class, that of the most rows first."""
    values = {f.name: _value(f) for f in fields}
    ends = [end(value) for value in values.values() for end in (F.min, F.max)]
    counted = train.groupBy(col(LABEL)).agg(F.count(F.lit(1)).alias("rows"), *ends).collect()
    found = sorted(counted, key=lambda row: (-row["rows"], row[LABEL]))

    def ranges(row: Row) -> list[Range]:
        return [None if low is None else (low, high) for low, high in zip(row[2::2], row[3::2], strict=True)]

    return {row[LABEL]: dict(zip(values, ranges(row), strict=True)) for row in found}


def _value(field: t.StructField) -> Column:
    """A number that is equal for equal values, and in their order where there is one."""
    if isinstance(field.dataType, t.NumericType):
        return as_number(col(field.name), field.dataType)
    # The order of texts says nothing, and numbers are aggregated without a sort.
    return F.when(col(field.name).isNotNull(), F.xxhash64(hashable(field)))


def _tells(ranges: Sequence[Range]) -> bool:
    """Whether the range of one class meets that of no other."""
    return len(ranges) > 1 and any(
        all(_apart(one, other) for j, other in enumerate(ranges) if j != i) for i, one in enumerate(ranges)
    )


def _apart(one: Range, other: Range) -> bool:
    if one is None or other is None:
        return one is not other
    return one[1] < other[0] or other[1] < one[0]


def _is_one(found: Range) -> bool:
    """Whether there is one value, or none at all."""
    return found is None or found[0] == found[1]

"""Columns that tell the label: what windows make of them is computed from labels."""

from collections.abc import Sequence
from itertools import accumulate

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import Config
from raresmith.config.label_delay import too_early
from raresmith.encoding.encoder import Label
from raresmith.errors import ConfigError
from raresmith.evaluation.intervals import LEAST
from raresmith.spark.columns import LABEL, col, quoted
from raresmith.spark.content_hash import hashable
from raresmith.spark.encoding.encode import as_number

Range = tuple[float, float] | None
"""Least and greatest value in a class; None where it has none."""


def label_columns(train: DataFrame, label: Label, config: Config) -> set[str]:
    """The columns of `prepare.windows.mean` that tell the classes apart, after one aggregation of a line a class.

    A column does so where a value divides the classes: a copy of the label, the amount of a chargeback, a time that
    only frauds have. A test row has no say in it.

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
    """The range of each column by class, that of the most rows first; of classes that are too small to tell anything,
    none."""
    values = {f.name: _value(f) for f in fields}
    ends = [end(value) for value in values.values() for end in (F.min, F.max)]
    counted = train.groupBy(col(LABEL)).agg(F.count(F.lit(1)).alias("rows"), *ends).collect()
    enough = [row for row in counted if row["rows"] >= LEAST]
    found = sorted(enough, key=lambda row: (-row["rows"], row[LABEL]))

    def ranges(row: Row) -> list[Range]:
        return [None if low is None else (low, high) for low, high in zip(row[2::2], row[3::2], strict=True)]

    return {row[LABEL]: dict(zip(values, ranges(row), strict=True)) for row in found}


def _value(field: t.StructField) -> Column:
    """A number that is equal for equal values, and in their order where there is one."""
    if isinstance(field.dataType, t.NumericType):
        return F.expr(as_number(quoted(field.name), field.dataType))
    # The order of texts says nothing, and numbers are aggregated without a sort.
    return F.when(col(field.name).isNotNull(), F.expr(f"xxhash64({hashable(field)})"))


def _tells(ranges: Sequence[Range]) -> bool:
    """Whether some classes have values and others none, or some lie below a value and the others above it."""
    known = sorted(found for found in ranges if found is not None)
    if len(known) < len(ranges):
        return bool(known)
    greatest = accumulate((high for _, high in known), max)
    return any(below < low for below, (low, _) in zip(greatest, known[1:], strict=False))


def _is_one(found: Range) -> bool:
    """Whether there is one value, or none at all."""
    return found is None or found[0] == found[1]

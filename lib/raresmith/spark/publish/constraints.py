"""What must hold in every made row that is published, as expressions over the raw columns."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from itertools import combinations
from operator import add, and_, or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import CombinationConfig, ConstraintsConfig, RangeConfig, SumConfig
from raresmith.errors import ConfigError
from raresmith.spark.columns import BASE, col
from raresmith.spark.publish.literals import literal, parsed

_PRECISION: dict[type[t.DataType], float] = {t.FloatType: 1e-6, t.DoubleType: 1e-9}
"""Floats add up where they do to this share of their sizes: to the cent up to ten millions."""
_TIMES = (t.DateType, t.TimestampType, t.TimestampNTZType)
_VALUES = (t.NumericType, t.StringType, t.BooleanType, *_TIMES)


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """One constraint, and how it is mended by itself."""

    name: str
    """As its counts call it."""
    columns: tuple[str, ...]
    """Raw columns that it names."""
    holds: Column | DataFrame
    """True or false; or all values that may stand together in `columns`, each once."""
    repairs: Mapping[str, Column]
    """For some of `columns`, what they become where it is broken; may read BASE columns."""


def check_constraints(config: ConstraintsConfig, types: Mapping[str, t.DataType]) -> None:
    """Make sure that the columns, which are all there, are of types that the constraints can be about.

    Raises
    ------
    ConfigError
        Naming the key, the column and its type.
    """
    for name, ends in config.ranges.items():
        _check_range(f"publish.constraints.ranges.{name}", name, ends, types)
    for combination in config.combinations:
        key = "publish.constraints.combinations"
        _require(key, combination.columns, types, _VALUES, "a number, text, a boolean, a date or a timestamp")
        for row in combination.values:
            for name, value in zip(combination.columns, row, strict=True):
                parsed(value, types[name], f"{key}.values of {name!r}")
    for columns in config.orders:
        if isinstance(types[columns[0]], _TIMES):
            _require("publish.constraints.orders", columns, types, _TIMES, "a date or a timestamp, as the first is")
        else:
            _require("publish.constraints.orders", columns, types, (t.NumericType,), "a number")
    for s in config.sums:
        totals = [s.total] if isinstance(s.total, str) else []
        _require("publish.constraints.sums", [*s.columns, *totals], types, (t.NumericType,), "a number")
        if not isinstance(s.total, str):
            parsed(s.total, types[s.columns[-1]], "publish.constraints.sums.total")


def _check_range(key: str, name: str, ends: RangeConfig, types: Mapping[str, t.DataType]) -> None:
    _require(key, [name], types, (t.NumericType, *_TIMES), "a number, a date or a timestamp")
    given = {"low": ends.low, "high": ends.high}
    low, high = (None if v is None else parsed(v, types[name], f"{key}.{end}") for end, v in given.items())
    if low is None or high is None:
        return
    if isinstance(low, dt.datetime) and (low.tzinfo is None) != (high.tzinfo is None):
        raise ConfigError(f"{key} must give both ends a time zone or neither, got {ends.low!r} and {ends.high!r}")
    if low > high:
        raise ConfigError(f"{key}.low must not be above high, got {ends.low!r} and {ends.high!r}")


def _require(
    key: str,
    names: Sequence[str],
    types: Mapping[str, t.DataType],
    kinds: tuple[type[t.DataType], ...],
    wanted: str,
) -> None:
    for name in names:
        if not isinstance(types[name], kinds):
            raise ConfigError(f"{key} names {name!r} of type {types[name].simpleString()}; it must be {wanted}")


def constraints_of(
    config: ConstraintsConfig, raw: t.StructType, steps: Mapping[str, float], train: DataFrame
) -> list[Constraint]:
    """The constraints in the order in which they are mended.

    Parameters
    ----------
    raw : the raw columns
    steps
        By column the grid that its values lie on, where there is one; mended floats lie on it too.
    train : DataFrame with the raw columns
        The rows whose combinations are allowed.
    """
    return [
        *(
            Constraint(name=f"{n} not null", columns=(n,), holds=_known(raw[n]).isNotNull(), repairs=_of_base((n,)))
            for n in config.not_null
        ),
        *(_range(ends, raw[name]) for name, ends in config.ranges.items()),
        *(_combination(combination, raw, train) for combination in config.combinations),
        *(_order(columns, raw) for columns in config.orders),
        *(_sum(s, raw, steps) for s in config.sums),
    ]


def _known(field: t.StructField) -> Column:
    """The column, null where it is NaN."""
    value = col(field.name)
    return F.when(~F.isnan(value), value) if isinstance(field.dataType, (t.FloatType, t.DoubleType)) else value


def _of_base(columns: Sequence[str]) -> dict[str, Column]:
    return {name: col(BASE + name) for name in columns}


def _range(ends: RangeConfig, field: t.StructField) -> Constraint:
    words, nearest = [field.name], col(field.name)
    if ends.low is not None:
        words.append(f"from {ends.low}")
        nearest = F.greatest(literal(ends.low, field.dataType), nearest)
    if ends.high is not None:
        words.append(f"to {ends.high}")
        nearest = F.least(literal(ends.high, field.dataType), nearest)
    holds = F.coalesce(_known(field) == nearest, F.lit(True))
    return Constraint(name=" ".join(words), columns=(field.name,), holds=holds, repairs={field.name: nearest})


def _combination(config: CombinationConfig, raw: t.StructType, train: DataFrame) -> Constraint:
    columns = config.columns
    kinds = [raw[name].dataType for name in columns]
    allowed, where = train.select(*[col(name) for name in columns]), "as in train rows"
    if config.values:
        texts = [[str(parsed(v, kind, "")) for v, kind in zip(row, kinds, strict=True)] for row in config.values]
        listed = train.sparkSession.createDataFrame(
            texts, t.StructType([t.StructField(name, t.StringType()) for name in columns])
        )
        allowed = listed.select(*[col(n).cast(kind).alias(n) for n, kind in zip(columns, kinds, strict=True)])
        where = "as listed"
    return Constraint(
        name=f"{', '.join(columns)} {where}", columns=columns, holds=allowed.distinct(), repairs=_of_base(columns)
    )


def _order(columns: tuple[str, ...], raw: t.StructType) -> Constraint:
    # Of all pairs, for a null may stand between two.
    rising = [F.coalesce(_known(raw[a]) <= _known(raw[b]), F.lit(True)) for a, b in combinations(columns, 2)]
    return Constraint(name=" ≤ ".join(columns), columns=columns, holds=reduce(and_, rising), repairs=_of_base(columns))


def _sum(config: SumConfig, raw: t.StructType, steps: Mapping[str, float]) -> Constraint:
    """Whole numbers and decimals are added exactly, floats as `_PRECISION` says."""
    columns = (*config.columns, *([config.total] if isinstance(config.total, str) else []))
    precisions = [_PRECISION[type(raw[n].dataType)] for n in columns if type(raw[n].dataType) in _PRECISION]

    def number(name: str) -> Column:
        if precisions:
            return _known(raw[name]).cast("double")
        # Two numbers of 64 bits add up to one of more.
        return col(name).cast("decimal(20,0)") if isinstance(raw[name].dataType, t.IntegralType) else col(name)

    parts = [number(name) for name in config.columns]
    added = reduce(F.try_add, parts)
    if isinstance(config.total, str):
        total, mended = number(config.total), added
    else:
        total = F.lit(float(config.total) if precisions else Decimal(str(config.total)))
        mended = F.try_subtract(total, reduce(F.try_add, parts[:-1]))
    adds_up = added == total
    if precisions:
        off, sizes = F.abs(added - total), reduce(add, [F.abs(part) for part in (*parts, total)])
        adds_up = (off <= sizes * max(precisions)) & (off < math.inf)
    target = raw[columns[-1]]
    step = 1.0 if isinstance(target.dataType, t.IntegralType) else min(steps.get(target.name, 0.0), 1.0)
    if precisions and step:
        mended = F.rint(mended * round(1 / step)) / round(1 / step)
    lacks_one = reduce(or_, [number(name).isNull() for name in columns])
    return Constraint(
        name=f"{' + '.join(config.columns)} = {config.total}",
        columns=columns,
        holds=lacks_one | F.coalesce(adds_up, F.lit(False)),
        # A value that does not fit the column is not written, and the sum stays broken.
        repairs={target.name: F.coalesce(mended.try_cast(target.dataType), col(target.name))},
    )

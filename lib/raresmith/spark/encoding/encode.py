"""Encode raw rows into features by native expressions of a plain `Encoder` value."""

from collections.abc import Sequence
from decimal import Decimal
from math import log10
from typing import Protocol

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.encoding.encoder import (
    FIRST_MASS,
    NO_NUMBER,
    NULL,
    NUMBER,
    UNSEEN,
    CategoricalFeature,
    Encoder,
    NumericFeature,
)
from raresmith.spark.columns import LABEL, ROW_ID, SPLIT, col, quoted, text

INLINE_CATEGORIES = 16
"""Up to here a linear search in the row beats a join with the table of categories."""
FLOAT32_MAX = float(np.finfo(np.float32).max)


def encode(df: DataFrame, encoder: Encoder) -> DataFrame:
    """The features of the rows of `df`, which has the raw and the made columns under their own names.

    Returns
    -------
    DataFrame
        row_id, split and label if `df` has their working columns, then each feature as `feature.storage`, null-free.
    """
    names = {ROW_ID: "row_id", SPLIT: "split", LABEL: "label"}
    kept = [col(working).alias(name) for working, name in names.items() if working in df.columns]
    kinds = {f.name: f.dataType for f in df.schema.fields}
    stated = {f.state: f for f in encoder.features if f.kind == "numeric" and f.state}
    expressions = []
    for i, feature in enumerate(encoder.features):
        if feature.name in stated:
            raw = stated[feature.name].source
            code = _state(quoted(raw), kinds[raw], stated[feature.name])
            expressions.append(F.expr(f"CAST({code} AS FLOAT) AS {quoted(feature.name)}"))
        elif feature.kind == "numeric":
            number = _encode_number(quoted(feature.source), kinds[feature.source], feature)
            expressions.append(F.expr(f"CAST({number} AS {feature.storage}) AS {quoted(feature.name)}"))
        else:
            df, category = _encode_category(df, feature.source, feature, f"__code_{i}")
            expressions.append(category.cast("float").alias(feature.name))
    return df.select(*kept, *expressions)


# Expressions of numbers are SQL text: of wide tables PySpark would make a million calls into Java to build them.


def as_number(column: str, kind: t.DataType) -> str:
    """A raw column as double, null where null or NaN: timestamps in microseconds and dates in days since 1970."""
    number = f"CAST({exact_number(column, kind)} AS DOUBLE)"
    return f"nanvl({number}, CAST(NULL AS DOUBLE))" if isinstance(kind, (t.FloatType, t.DoubleType)) else number


def exact_number(column: str, kind: t.DataType) -> str:
    """The same as the number that the column is: integers, microseconds and days as bigint, decimals as they are."""
    if isinstance(kind, t.TimestampType):
        return f"unix_micros({column})"
    if isinstance(kind, t.TimestampNTZType):
        return f"unix_micros(CAST({column} AS TIMESTAMP))"
    if isinstance(kind, t.DateType):
        return f"CAST(unix_date({column}) AS BIGINT)"
    return f"CAST({column} AS BIGINT)" if isinstance(kind, t.IntegralType) else column


class Stated(Protocol):
    """A number column of which some values may be states."""

    @property
    def masses(self) -> tuple[str, ...]:
        """As in `NumericFeature`, both."""

    @property
    def is_day_number(self) -> bool: ...


def _without(masses: Sequence[str], column: str, kind: t.DataType) -> str:
    """A raw column, null where it is one of the `masses`."""
    return f"IF({column} IN ({', '.join(_raw(mass, kind) for mass in masses)}), NULL, {column})" if masses else column


def _as_day(column: str) -> str:
    """A raw column of YYYYMMDD as date, null where it is none."""
    return f"try_to_date(CAST({column} AS STRING), 'yyyyMMdd')"


def is_no_day(column: str, kind: t.DataType, of: Stated) -> str:
    """Whether a value among dates written as numbers is none."""
    others = _without(of.masses, column, kind)
    return f"{others} IS NOT NULL AND {_as_day(others)} IS NULL"


def numbers_of(column: str, kind: t.DataType, of: Stated) -> tuple[str, t.DataType]:
    """The raw column, null where it is a mass, and its type; as date where it has these as numbers."""
    others = _without(of.masses, column, kind)
    return (_as_day(others), t.DateType()) if of.is_day_number else (others, kind)


def _raw(value: str, kind: t.DataType) -> str:
    return f"CAST({text(value)} AS {kind.simpleString()})"


def _state(column: str, kind: t.DataType, feature: NumericFeature) -> str:
    """The code of a number's state."""
    code = f"IF({as_number(*numbers_of(column, kind, feature))} IS NULL, {NO_NUMBER}, {NUMBER})"
    whens = "".join(f"WHEN {column} = {_raw(m, kind)} THEN {i} " for i, m in enumerate(feature.masses, FIRST_MASS))
    return f"CASE {whens}ELSE {code} END" if feature.masses else code


def counted(column: str, kind: t.DataType, step: float, origin: int | None) -> str:
    """A raw column as double in the units of its feature's numbers: steps beyond `origin` of these, where there is one.

    What is subtracted and divided is exact, so any two values less than 2^53 steps from the origin stay apart.
    """
    plain = as_number(column, kind)
    if origin is None:
        return plain
    x = exact_number(column, kind)
    if isinstance(kind, t.DecimalType):
        decimals = -round(log10(step))
        steps = f"try_multiply({x}, {power_of_ten(decimals):f}BD)"
        if decimals == kind.precision == 38:  # the power of ten has a digit too many; text is read as it is
            steps = f"CAST(concat(CAST({x} AS STRING), 'E38') AS DECIMAL(38,0))"
        beyond = f"CAST(try_subtract({steps}, {origin}BD) AS DOUBLE)"
    else:
        unit = f"{int(step)}L"
        whole = f"CAST(try_subtract({x} DIV {unit}, {origin}L) AS DOUBLE)"
        beyond = f"{whole} + CAST({x} % {unit} AS DOUBLE) / {double(step)}"
    # What is too far away to be subtracted from was never exact.
    return f"coalesce({beyond}, {plain} / {double(step)} - {double(origin)})"


def double(value: float) -> str:
    """`value` as SQL writes it."""
    return f"({float(value)!r}D)"


def signed_log(x: str) -> str:
    return f"(signum({x}) * log1p(abs({x})))"


def piecewise(x: str, xs: Sequence[float], ys: Sequence[float]) -> str:
    """Linear interpolation: the piece is found by a tree of comparisons, log2(pieces) of them a row."""

    def piece(first: int, last: int) -> str:
        if first == last:
            return str(first)
        middle = (first + last + 1) // 2
        return f"IF({x} < {double(xs[middle])}, {piece(first, middle - 1)}, {piece(middle, last)})"

    pieces = range(len(xs) - 1)
    # The tree ends in numbers, not formulas: Java's limit of 64 KB a method is soon reached with a few columns.
    at = piece(0, len(xs) - 2)
    slopes = [(ys[i + 1] - ys[i]) / (xs[i + 1] - xs[i]) for i in pieces]
    start, base, slope = (
        f"get(array({', '.join(map(double, values))}), {at})" for values in (xs[:-1], ys[:-1], slopes)
    )
    return f"({base} + ({x} - {start}) * {slope})"


def power_of_ten(exponent: int) -> Decimal:
    """As Spark takes it for a literal, which has no exponent above 0."""
    return Decimal(10**exponent) if exponent >= 0 else Decimal(1).scaleb(exponent)


def is_outlier(column: str, kind: t.DataType, feature: NumericFeature) -> str:
    """Whether a value is so far beyond all others of the train rows that it is encoded as the nearest of these."""
    assert feature.outlier is not None
    column, kind = numbers_of(column, kind, feature)
    return f"abs({as_number(column, kind)}) > {double(feature.outlier)}"


def _encode_number(column: str, kind: t.DataType, feature: NumericFeature) -> str:
    number, its = numbers_of(column, kind, feature)
    x = counted(number, its, feature.step, feature.origin)
    if feature.outlier is not None:
        end = f"IF({as_number(number, its)} > 0, {double(feature.high)}, {double(feature.low)})"
        x = f"IF({is_outlier(column, kind, feature)}, {end}, {x})"
    known = f"coalesce({x}, {double(feature.impute)})"
    if feature.transform == "quantile":
        return piecewise(known, feature.knots, feature.scores)
    scaled = signed_log(known) if feature.transform == "log" else known
    return f"({scaled} - {double(feature.center)}) / {double(feature.scale)}"


def _encode_category(df: DataFrame, raw: str, feature: CategoricalFeature, code: str) -> tuple[DataFrame, Column]:
    value = col(raw).cast("string")
    if len(feature.categories) <= INLINE_CATEGORIES:
        known = F.lit(0)
        if feature.categories:
            position = F.array_position(F.array(*[F.lit(c) for c in feature.categories]), value)
            known = F.when(position > 0, position + 1).otherwise(UNSEEN)
        return df, F.when(value.isNull(), NULL).otherwise(known)
    # A map literal is searched from its start in every row; a join hashes once.
    rows = [(category, i + 2) for i, category in enumerate(feature.categories)]
    codes = df.sparkSession.createDataFrame(rows, f"`{code}_value` string, `{code}` int")
    joined = df.join(F.broadcast(codes), value == F.col(f"{code}_value"), "left")
    return joined, F.when(value.isNull(), NULL).otherwise(F.coalesce(F.col(code), F.lit(UNSEEN)))

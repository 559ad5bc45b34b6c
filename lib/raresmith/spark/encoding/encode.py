"""Encode raw rows into features by native expressions of a plain `Encoder` value."""

from collections.abc import Sequence
from decimal import Decimal
from math import log10

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.encoding.encoder import NULL, UNSEEN, CategoricalFeature, Encoder, NumericFeature
from raresmith.spark.columns import LABEL, ROW_ID, SPLIT, col

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
    indicated = {f.null_indicator: f for f in encoder.features if f.kind == "numeric" and f.null_indicator}
    expressions = []
    for i, feature in enumerate(encoder.features):
        if feature.name in indicated:
            raw = indicated[feature.name].source
            is_null = as_number(col(raw), kinds[raw]).isNull()
            expressions.append(F.when(is_null, 3.0).otherwise(2.0).cast("float").alias(feature.name))
            continue
        raw = feature.source
        if feature.kind == "numeric":
            number = _encode_number(col(raw), kinds[raw], feature)
            expressions.append(number.cast(feature.storage).alias(feature.name))
        else:
            df, code = _encode_category(df, raw, feature, f"__code_{i}")
            expressions.append(code.cast("float").alias(feature.name))
    return df.select(*kept, *expressions)


def as_number(column: Column, kind: t.DataType) -> Column:
    """A raw column as double, null where null or NaN: timestamps in microseconds and dates in days since 1970."""
    number = exact_number(column, kind).cast("double")
    return F.when(~F.isnan(number), number) if isinstance(kind, (t.FloatType, t.DoubleType)) else number


def exact_number(column: Column, kind: t.DataType) -> Column:
    """The same as the number that the column is: integers, microseconds and days as bigint, decimals as they are."""
    if isinstance(kind, t.TimestampType):
        return F.unix_micros(column)
    if isinstance(kind, t.TimestampNTZType):
        return F.unix_micros(column.cast("timestamp"))
    if isinstance(kind, t.DateType):
        return F.unix_date(column).cast("bigint")
    return column.cast("bigint") if isinstance(kind, t.IntegralType) else column


def counted(column: Column, kind: t.DataType, step: float, origin: int | None) -> Column:
    """A raw column as double in the units of its feature's numbers: steps beyond `origin` of these, where there is one.

    What is subtracted and divided is exact, so any two values less than 2^53 steps from the origin stay apart.
    """
    plain = as_number(column, kind)
    if origin is None:
        return plain
    x = exact_number(column, kind)
    if isinstance(kind, t.DecimalType):
        steps = F.try_multiply(x, F.lit(power_of_ten(-round(log10(step)))))
        beyond = F.try_subtract(steps, F.lit(Decimal(origin))).cast("double")
    else:
        whole = F.try_subtract(F.call_function("div", x, F.lit(int(step))), F.lit(origin))
        beyond = whole.cast("double") + (x % int(step)).cast("double") / step
    # What is too far away to be subtracted from was never exact.
    return F.coalesce(beyond, plain / step - float(origin))


def signed_log(x: Column) -> Column:
    return F.signum(x) * F.log1p(F.abs(x))


def piecewise(x: Column, xs: Sequence[float], ys: Sequence[float]) -> Column:
    """Linear interpolation: the piece is found by a tree of comparisons, log2(pieces) of them a row."""

    def piece(first: int, last: int) -> Column:
        if first == last:
            return F.lit(first)
        middle = (first + last + 1) // 2
        return F.when(x < F.lit(xs[middle]), piece(first, middle - 1)).otherwise(piece(middle, last))

    pieces = range(len(xs) - 1)
    # The tree ends in numbers, not formulas: Java's limit of 64 KB a method is soon reached with a few columns.
    at = piece(0, len(xs) - 2)
    start, base, slope = (
        F.get(F.array(*[F.lit(float(value)) for value in values]), at)
        for values in (xs[:-1], ys[:-1], [(ys[i + 1] - ys[i]) / (xs[i + 1] - xs[i]) for i in pieces])
    )
    return base + (x - start) * slope


def power_of_ten(exponent: int) -> Decimal:
    """As Spark takes it for a literal, which has no exponent above 0."""
    return Decimal(10**exponent) if exponent >= 0 else Decimal(1).scaleb(exponent)


def is_outlier(column: Column, kind: t.DataType, feature: NumericFeature) -> Column:
    """Whether a value is so far beyond all others of the train rows that it is encoded as the nearest of these."""
    assert feature.outlier is not None
    return F.abs(as_number(column, kind)) > feature.outlier


def _encode_number(column: Column, kind: t.DataType, feature: NumericFeature) -> Column:
    x = counted(column, kind, feature.step, feature.origin)
    if feature.outlier is not None:
        end = F.when(as_number(column, kind) > 0, feature.high).otherwise(feature.low)
        x = F.when(is_outlier(column, kind, feature), end).otherwise(x)
    known = F.coalesce(x, F.lit(feature.impute))
    if feature.transform == "quantile":
        return piecewise(known, feature.knots, feature.scores)
    scaled = signed_log(known) if feature.transform == "log" else known
    return (scaled - F.lit(feature.center)) / F.lit(feature.scale)


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

"""Decode features into raw columns by native expressions of a plain `Encoder` value."""

import math
from decimal import Decimal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from raresmith.encoding.encoder import UNSEEN, CategoricalFeature, Encoder, NumericFeature
from raresmith.spark.columns import col, quoted
from raresmith.spark.encoding.encode import piecewise


def decode(df: DataFrame, encoder: Encoder, *, clamp: bool = False) -> dict[str, Column]:
    """For each raw column behind a feature the expression that gets it back from the feature columns of `df`.

    Parameters
    ----------
    clamp
        Keep numbers within the train range, for rows that were made.

    Returns
    -------
    dict of raw column name to Column, of the raw column's type
        Categories, integers, timestamps and booleans exactly; reals to 32-bit precision of the encoded value.
    """
    return {
        feature.source: (_decode_number(feature, clamp) if feature.kind == "numeric" else _decode_category(feature))
        for feature in encoder.features
        if not feature.made
    }


def _decode_number(feature: NumericFeature, clamp: bool) -> Column:
    y = col(feature.name).cast("double")
    if feature.transform == "quantile":
        x = F.expr(piecewise(f"CAST({quoted(feature.name)} AS DOUBLE)", feature.scores, feature.knots))
    else:
        x = y * F.lit(feature.scale) + F.lit(feature.center)
        if feature.transform == "log":
            x = F.signum(x) * F.expm1(F.abs(x))
    if feature.step:
        # Dividing by 100 gives the double nearest to the cents; multiplying by 0.01 would not.
        per_unit, units = 10.0**feature.decimals, max(feature.step, 1.0)
        steps = F.rint(x if feature.origin is not None else x * F.lit(per_unit) / F.lit(units))
        x = steps if feature.is_whole else steps / F.lit(per_unit)
    if clamp:
        low, high = feature.ends
        x = F.greatest(F.lit(low), F.least(F.lit(high), x))
    value = _of_steps(x, feature) if feature.is_whole else x.cast(feature.type)
    if feature.null_indicator:
        value = F.when(col(feature.null_indicator) != 3.0, value)
    return value


def _of_steps(x: Column, feature: NumericFeature) -> Column:
    """Whole numbers of steps beyond the origin as values of the raw column's type."""
    kind = feature.type
    if kind.startswith("decimal"):
        steps = x.cast("decimal(20,0)") + F.lit(Decimal(feature.origin or 0))
        # A product would round where digits that it might have are more than 38; text is read as it is.
        return F.concat(steps.cast("string"), F.lit(f"E{round(math.log10(feature.step))}")).cast(kind)
    whole = (x.cast("bigint") + F.lit(feature.origin or 0)) * int(feature.step)
    if kind == "timestamp":
        return F.timestamp_micros(whole)
    if kind == "timestamp_ntz":
        return F.timestamp_micros(whole).cast("timestamp_ntz")
    if kind == "date":
        return F.date_from_unix_date(whole.cast("int"))
    return whole.cast(kind)


def _decode_category(feature: CategoricalFeature) -> Column:
    code = col(feature.name).cast("int")
    value = F.lit(None).cast("string")
    if feature.categories:
        value = F.when(code >= 2, F.get(F.array(*[F.lit(c) for c in feature.categories]), code - 2))
    if feature.other:
        value = F.when(code == UNSEEN, F.lit(feature.other)).otherwise(value)
    return value.cast(feature.type)

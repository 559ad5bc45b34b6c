"""Decode features into raw columns by native expressions of a plain `Encoder` value."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from raresmith.encoding.encoder import UNSEEN, CategoricalFeature, Encoder, NumericFeature
from raresmith.spark.columns import col
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
        x = piecewise(y, feature.scores, feature.knots)
    else:
        x = y * F.lit(feature.scale) + F.lit(feature.center)
        if feature.transform == "log":
            x = F.signum(x) * F.expm1(F.abs(x))
    if feature.step:
        # Dividing by 100 gives the double nearest to the cents; multiplying by 0.01 would not.
        per_unit = float(round(1 / feature.step))
        x = F.rint(x * F.lit(per_unit)) / F.lit(per_unit)
    if clamp:
        x = F.greatest(F.lit(feature.low), F.least(F.lit(feature.high), x))
    kind = feature.type
    if kind == "timestamp":
        value = F.timestamp_micros(x.cast("bigint"))
    elif kind == "timestamp_ntz":
        value = F.timestamp_micros(x.cast("bigint")).cast("timestamp_ntz")
    elif kind == "date":
        value = F.date_from_unix_date(x.cast("int"))
    else:
        value = x.cast(kind)
    if feature.null_indicator:
        value = F.when(col(feature.null_indicator) != 3.0, value)
    return value


def _decode_category(feature: CategoricalFeature) -> Column:
    code = col(feature.name).cast("int")
    value = F.lit(None).cast("string")
    if feature.categories:
        value = F.when(code >= 2, F.get(F.array(*[F.lit(c) for c in feature.categories]), code - 2))
    if feature.other:
        value = F.when(code == UNSEEN, F.lit(feature.other)).otherwise(value)
    return value.cast(feature.type)

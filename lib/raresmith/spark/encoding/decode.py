"""Decode features into raw columns by native expressions of a plain `Encoder` value."""

import math

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from raresmith.encoding.encoder import FIRST_MASS, NO_NUMBER, UNSEEN, CategoricalFeature, Encoder, NumericFeature
from raresmith.spark.columns import quoted, text
from raresmith.spark.encoding.encode import double, piecewise


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
        feature.source: F.expr(_number(feature, clamp) if feature.kind == "numeric" else _category(feature))
        for feature in encoder.features
        if not feature.made
    }


def _number(feature: NumericFeature, clamp: bool) -> str:
    y = f"CAST({quoted(feature.name)} AS DOUBLE)"
    if feature.transform == "quantile":
        x = piecewise(y, feature.scores, feature.knots)
    else:
        x = f"({y} * {double(feature.scale)} + {double(feature.center)})"
        if feature.transform == "log":
            x = f"(signum({x}) * expm1(abs({x})))"
    if feature.step:
        # Dividing by 100 gives the double nearest to the cents; multiplying by 0.01 would not.
        per_unit, units = double(10.0**feature.decimals), double(max(feature.step, 1.0))
        steps = f"rint({x})" if feature.origin is not None else f"rint({x} * {per_unit} / {units})"
        x = steps if feature.is_whole else f"({steps} / {per_unit})"
    if clamp:
        low, high = feature.ends
        x = f"greatest({double(low)}, least({double(high)}, {x}))"
    value = _of_steps(x, feature) if feature.is_whole else f"CAST({x} AS {feature.type})"
    if feature.state:
        state = quoted(feature.state)
        value = f"IF({state} != {double(NO_NUMBER)}, {value}, NULL)"
        for code, mass in enumerate(feature.masses, FIRST_MASS):
            value = f"IF({state} = {double(code)}, CAST({text(mass)} AS {feature.type}), {value})"
    return value


def _of_steps(x: str, feature: NumericFeature) -> str:
    """Whole numbers of steps beyond the origin as values of the raw column's type."""
    kind, origin = feature.type, feature.origin or 0
    if kind.startswith("decimal") and not feature.is_day_number:
        # A product would round where digits that it might have are more than 38; text is read as it is.
        steps = f"CAST(CAST({x} AS DECIMAL(20,0)) + {origin}BD AS STRING)"
        return f"CAST(concat({steps}, 'E{round(math.log10(feature.step))}') AS {kind})"
    whole = f"((CAST({x} AS BIGINT) + {origin}L) * {int(feature.step)}L)"
    if kind in ("timestamp", "timestamp_ntz"):
        return f"CAST(timestamp_micros({whole}) AS {kind})"
    if kind == "date" or feature.is_day_number:
        day = f"date_from_unix_date(CAST({whole} AS INT))"
        return f"CAST(date_format({day}, 'yyyyMMdd') AS {kind})" if feature.is_day_number else day
    return f"CAST({whole} AS {kind})"


def _category(feature: CategoricalFeature) -> str:
    code, value = f"CAST({quoted(feature.name)} AS INT)", "CAST(NULL AS STRING)"
    if feature.categories:
        categories = ", ".join(map(text, feature.categories))
        value = f"IF({code} >= 2, get(array({categories}), {code} - 2), NULL)"
    if feature.other:
        value = f"IF({code} = {UNSEEN}, {text(feature.other)}, {value})"
    return f"CAST({value} AS {feature.type})"

"""Fit the encoder on train rows, encode raw rows into features, decode features into raw columns.

Encoding and decoding are native expressions of a plain `Encoder` value: nothing is learnt outside `fit_encoder`.
"""

import dataclasses
import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import Normalisation, PrepareConfig
from raresmith.encoding.decode import encoded_number
from raresmith.encoding.encoder import (
    NULL,
    UNSEEN,
    CategoricalFeature,
    Encoder,
    Feature,
    Label,
    NumericFeature,
    safe_names,
)
from raresmith.errors import DataError
from raresmith.spark.columns import LABEL, ROW_ID, SPLIT
from raresmith.spark.tables import col

RESERVED = {
    "row_id",
    "split",
    "label",
    "run_id",
    "base_row_id",
    "neighbor_row_id",
    "gap",
    "method",
    "synthetic_row_id",
    "score",
    "model",
}
"""Columns of the feature tables that are no features."""

QUANTILE_KNOTS = 33
SAMPLE_CELLS = 20_000_000
"""Most values of the hash sample that quantiles are taken from: 160 MB on the driver, whatever the table."""
INLINE_CATEGORIES = 16
"""Up to here a linear search in the row beats a join with the table of categories."""
MOST_DECIMALS = 4
"""Finer grids than this do not count as one."""
FLOAT32_MAX = float(np.finfo(np.float32).max)
_INTEGERS = (t.ByteType, t.ShortType, t.IntegerType, t.LongType)
_INSTANTS = (t.TimestampType, t.TimestampNTZType)


def is_categorical(field: t.StructField, config: PrepareConfig) -> bool:
    """Whether the raw column is encoded as codes.

    Raises
    ------
    DataError
        If its type can be no feature at all.
    """
    kind = field.dataType
    if isinstance(kind, (t.StringType, t.BooleanType)) or field.name in config.categorical:
        return True
    if isinstance(kind, (t.FractionalType, *_INTEGERS, *_INSTANTS, t.DateType)):
        return False
    raise DataError(
        f"column {field.name!r} is of type {kind.simpleString()}, which cannot be a feature; "
        "name it in source.ignore or leave it out of prepare.features"
    )


def as_number(column: Column, kind: t.DataType) -> Column:
    """A raw column as double, null where null or NaN: timestamps in microseconds and dates in days since 1970."""
    if isinstance(kind, t.TimestampType):
        return F.unix_micros(column).cast("double")
    if isinstance(kind, t.TimestampNTZType):
        return F.unix_micros(column.cast("timestamp")).cast("double")
    if isinstance(kind, t.DateType):
        return F.unix_date(column).cast("double")
    number = column.cast("double")
    return F.when(~F.isnan(number), number) if isinstance(kind, (t.FloatType, t.DoubleType)) else number


def fit_encoder(
    train: DataFrame,
    columns: Sequence[t.StructField],
    made: Sequence[str],
    label: Label,
    raw_schema: t.StructType,
    config: PrepareConfig,
) -> Encoder:
    """The encoder of the feature `columns`, fitted on `train`.

    One aggregation for the numbers, one for the categories, one over the columns whose values may lie on a grid, and
    one over a bounded sample by hash of row_id where a column asks for quantiles. Means and deviations are rounded to
    seven digits, because a sum of floats depends on its order and must not show in the result.

    Parameters
    ----------
    train : DataFrame with ROW_ID and `columns`
        Train rows only.
    columns
        The feature columns in order, raw ones and those made here.
    made
        Names of those among them that are no raw columns.

    Raises
    ------
    DataError
        If there are no train rows, or a number cannot be held exactly enough.
    """
    names = dict(zip([c.name for c in columns], safe_names([c.name for c in columns], RESERVED), strict=True))
    numeric = [c for c in columns if not is_categorical(c, config)]
    categorical = [c for c in columns if is_categorical(c, config)]
    statistics = _numeric_statistics(train, numeric, config)
    rows = int(statistics["rows"])
    if rows == 0:
        raise DataError("the train split has no rows; check [split] against the dates and values of the table")
    quantiles = _quantiles(train, numeric, config, rows)
    steps = _steps(train, numeric, statistics)
    counts = _category_counts(train, categorical, config)

    features: list[Feature] = []
    indicators: list[Feature] = []
    indicator_names = iter(safe_names([f"{c.name}_is_null" for c in numeric], RESERVED | set(names.values())))
    for c in columns:
        is_made = c.name in made
        if is_categorical(c, config):
            features.append(_categorical_feature(c, names[c.name], is_made, counts[c.name], config))
            continue
        indicator = next(indicator_names)
        has_null = statistics[f"{c.name} count"] < rows
        feature = _numeric_feature(
            c, names[c.name], is_made, indicator if has_null else "", statistics, steps[c.name],
            quantiles.get(c.name), _normalisation(c, config),
        )  # fmt: skip
        features.append(feature)
        if has_null:
            seen = (2, 3) if statistics[f"{c.name} count"] > 0 else (3,)
            indicators.append(
                CategoricalFeature(
                    name=indicator, source="", type="boolean", categories=("false", "true"), seen=seen, made=True
                )
            )
    return Encoder(features=(*features, *indicators), label=label, raw_schema=raw_schema.json())


def _normalisation(field: t.StructField, config: PrepareConfig) -> Normalisation:
    asked = config.normalise_columns.get(field.name, config.normalise)
    if asked == "log" and isinstance(field.dataType, (*_INSTANTS, t.DateType)):
        return "standard"  # an instant has no size
    return asked


def _signed_log(x: Column) -> Column:
    return F.signum(x) * F.log1p(F.abs(x))


def _numeric_statistics(train: DataFrame, numeric: Sequence[t.StructField], config: PrepareConfig) -> dict[str, Any]:
    """Count, least, greatest, mean and deviation of each column in one pass; on a log scale where it asks."""
    aggregates = [F.count(F.lit(1)).alias("rows")]
    for c in numeric:
        x = as_number(col(c.name), c.dataType)
        logarithmic = _normalisation(c, config) == "log"
        aggregates += [
            F.count(x).alias(f"{c.name} count"),
            F.min(x).alias(f"{c.name} low"),
            F.max(x).alias(f"{c.name} high"),
            F.avg(x).alias(f"{c.name} mean"),
            F.stddev_pop(_signed_log(x) if logarithmic else x).alias(f"{c.name} deviation"),
        ]
        if logarithmic:
            aggregates.append(F.avg(_signed_log(x)).alias(f"{c.name} log mean"))
    row = train.agg(*aggregates).first()
    assert row is not None
    return row.asDict()


def _steps(train: DataFrame, numeric: Sequence[t.StructField], statistics: dict[str, Any]) -> dict[str, float]:
    """The grid that each column's values lie on, so that made values can lie on it too: cents stay cents."""
    steps = {}
    candidates = []
    for c in numeric:
        if isinstance(c.dataType, t.DecimalType):
            steps[c.name] = 10.0**-c.dataType.scale
        elif not isinstance(c.dataType, (t.FloatType, t.DoubleType)):
            steps[c.name] = 1.0
        else:
            steps[c.name] = 0.0
            # The two values that are known already rule most columns out.
            ends = [statistics[f"{c.name} {end}"] for end in ("low", "high")]
            if all(end is not None and _is_on_grid(end, MOST_DECIMALS, c.dataType) for end in ends):
                candidates.append(c)
    for name, decimals in _decimals(train, candidates).items():
        if decimals <= MOST_DECIMALS:
            steps[name] = 10.0**-decimals
    return steps


def _decimals(df: DataFrame, floats: Sequence[t.StructField]) -> dict[str, int]:
    """How many decimals the values of each column have; one more than MOST_DECIMALS for any more."""
    if not floats:
        return {}
    aggregates = []
    for c in floats:
        x = as_number(col(c.name), c.dataType)
        needed = F.when(x.isNotNull(), MOST_DECIMALS + 1)
        for decimals in reversed(range(MOST_DECIMALS + 1)):
            needed = F.when(_on_grid(x, decimals, c.dataType), decimals).otherwise(needed)
        aggregates.append(F.max(needed).alias(c.name))
    row = df.agg(*aggregates).first()
    assert row is not None
    return dict(zip([c.name for c in floats], row, strict=True))


def _on_grid(x: Column, decimals: int, kind: t.DataType) -> Column:
    """Whether a float is a whole multiple of 10^-decimals, up to its own precision."""
    scaled = x * 10.0**decimals
    return F.abs(scaled - F.rint(scaled)) <= F.least(F.abs(scaled) * _precision(kind), F.lit(1e-3))


def _is_on_grid(x: float, decimals: int, kind: t.DataType) -> bool:
    """The same of one value on the driver."""
    scaled = x * 10.0**decimals
    return abs(scaled - float(np.rint(scaled))) <= min(abs(scaled) * _precision(kind), 1e-3)


def _precision(kind: t.DataType) -> float:
    return 1e-6 if isinstance(kind, t.FloatType) else 1e-12


def _quantiles(
    train: DataFrame, numeric: Sequence[t.StructField], config: PrepareConfig, rows: int
) -> dict[str, np.ndarray]:
    """Sorted values of a hash sample for each column that is scaled by quantiles."""
    asking = [c for c in numeric if _normalisation(c, config) in ("robust", "quantile")]
    if not asking:
        return {}
    wanted = max(1000, min(100_000, SAMPLE_CELLS // len(asking)))
    sample = train
    if rows > wanted:
        # percentile_approx depends on the order in which it merges; a hash of the row id picks the same rows always.
        share = int(wanted / rows * 2**32)
        sample = train.where(F.pmod(F.xxhash64(F.col(ROW_ID), F.lit(0)), F.lit(2**32)) < share)
    table = sample.select(*[as_number(col(c.name), c.dataType).alias(str(i)) for i, c in enumerate(asking)]).toArrow()
    values = {}
    for i, c in enumerate(asking):
        column = table.column(str(i)).drop_null().to_numpy()
        values[c.name] = np.sort(column)
    return values


def _category_counts(
    train: DataFrame, categorical: Sequence[t.StructField], config: PrepareConfig
) -> dict[str, list[tuple[str | None, int]]]:
    """For each column its categories with their counts, the most frequent first, at most max_categories + 2."""
    if not categorical:
        return {}
    pairs = [
        F.struct(F.lit(i).alias("column"), col(c.name).cast("string").alias("value")) for i, c in enumerate(categorical)
    ]
    counted = train.select(F.explode(F.array(*pairs)).alias("pair")).groupBy("pair.column", "pair.value").count()
    # +2: the null and one more, to see that there are more.
    rank = F.row_number().over(
        Window.partitionBy("column").orderBy(F.col("count").desc(), F.col("value").asc_nulls_first())
    )
    kept = counted.withColumn("rank", rank).where(F.col("rank") <= config.max_categories + 2)
    found: dict[str, list[tuple[str | None, int]]] = {c.name: [] for c in categorical}
    for row in kept.orderBy("column", "rank").collect():
        found[categorical[row["column"]].name].append((row["value"], row["count"]))
    return found


def _categorical_feature(
    field: t.StructField,
    name: str,
    made: bool,
    counts: list[tuple[str | None, int]],
    config: PrepareConfig,
) -> CategoricalFeature:
    frequent = [value for value, _ in counts if value is not None]
    kept, rest = sorted(frequent[: config.max_categories]), frequent[config.max_categories :]
    seen = [NULL] if any(value is None for value, _ in counts) else []
    if rest:
        seen = [UNSEEN, *seen]
    return CategoricalFeature(
        name=name,
        source=field.name,
        made=made,
        type=field.dataType.simpleString(),
        categories=tuple(kept),
        seen=(*seen, *range(2, 2 + len(kept))),
        other=rest[0] if rest else "",
    )


def _rounded(value: float, unit: float) -> float:
    """`value` on a grid of a ten-millionth of `unit`."""
    return float(f"{round(value / unit * 1e7) / 1e7 * unit:.12g}") if unit > 0 else value


def _numeric_feature(
    field: t.StructField,
    name: str,
    made: bool,
    null_indicator: str,
    statistics: dict[str, Any],
    step: float,
    sample: np.ndarray | None,
    normalisation: Normalisation,
) -> NumericFeature:
    def statistic(what: str) -> float:
        value = statistics[f"{field.name} {what}"]
        return 0.0 if value is None else float(value)

    low, high = statistic("low"), statistic("high")
    deviation = float(f"{statistic('deviation'):.7g}")
    if not math.isfinite(deviation) or not math.isfinite(statistic("mean")):
        raise DataError(
            f"column {field.name!r} has values up to {max(abs(low), abs(high)):.3g}, whose spread no float can hold; "
            f'set prepare.normalise_columns.{field.name} = "log" or "quantile", or leave the column out'
        )
    spread = deviation if deviation > 0 else max(abs(high - low), 1.0)
    center, scale = 0.0, 1.0
    knots: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()
    transform = {"log": "log", "quantile": "quantile"}.get(normalisation, "linear")
    if normalisation in ("standard", "log"):
        mean = "log mean" if normalisation == "log" else "mean"
        center, scale = _rounded(statistic(mean), spread), deviation
    elif normalisation == "minmax":
        center, scale = low / 2 + high / 2, high / 2 - low / 2
    elif normalisation == "robust" and sample is not None and len(sample):
        first, center, third = (float(q) for q in np.quantile(sample, [0.25, 0.5, 0.75]))
        scale = third - first if third > first else deviation
    elif normalisation == "quantile" and sample is not None and len(sample):
        knots, scores = _knots(sample, low, high)
        if len(knots) < 2:
            transform, center = "linear", low
    if not scale > 0:
        scale = 1.0

    impute = _rounded(statistic("mean"), spread)
    impute = round(impute / step) * step if step else impute
    impute = min(max(impute, low), high)
    feature = NumericFeature(
        name=name, source=field.name, made=made, type=field.dataType.simpleString(), transform=transform,  # type: ignore[arg-type]
        center=center, scale=scale, low=low, high=high, impute=impute, step=step, storage="float",
        null_indicator=null_indicator, knots=knots, scores=scores, encoded_low=0.0, encoded_high=0.0,
    )  # fmt: skip
    storage = _storage(field, feature)
    ends = [encoded_number(feature, x) for x in (low, high)]
    if storage == "float":
        ends = [float(np.float32(end)) for end in ends]
    return dataclasses.replace(feature, storage=storage, encoded_low=ends[0], encoded_high=ends[1])


def _storage(field: t.StructField, feature: NumericFeature) -> Literal["float", "double"]:
    """double where the grid of the raw values is too fine for 24 bits over their range; refuse where for 53 too."""
    if feature.step != 0 and not isinstance(field.dataType, (t.FloatType, t.DoubleType)):
        reach = max(abs(feature.low - feature.center), abs(feature.high - feature.center), 1.0)
        if feature.transform != "linear":
            # The slope of log and quantile maps varies; 24 bits hold only small counts exactly.
            reach = max(abs(feature.low), abs(feature.high), 1.0) * 64
        size = max(abs(feature.low), abs(feature.high))
        # There and back rounds the distance to the center three times and the value once, each by 2^-53 of its size.
        # With scale 1 around 0 nothing is rounded.
        distance = reach if feature.transform == "linear" and (feature.center, feature.scale) != (0, 1) else 0.0
        if (3 * distance + size) / feature.step >= 2**52:
            raise DataError(
                f"column {field.name!r} has values up to {size:.0f}, too large to come back whole from 64-bit floats: "
                "they are names rather than quantities; put the column into source.ignore or prepare.categorical"
            )
        extent = feature.high - feature.low if feature.knots else max(abs(feature.low), abs(feature.high))
        if feature.transform != "linear" and extent / feature.step >= 2**44:
            raise DataError(
                f"column {field.name!r} spans {extent:.0f} steps of {feature.step:g}, too many to "
                f'come back whole from normalisation "{feature.transform}"; '
                f'set prepare.normalise_columns.{field.name} = "standard"'
            )
        # Four times the train range stays exact.
        return "float" if reach / feature.step < 2**21 else "double"
    return "float"


def _knots(sample: np.ndarray, low: float, high: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Raw values and normal scores of a strictly increasing piecewise linear map; ties share their middle score."""
    scores = np.linspace(-3, 3, QUANTILE_KNOTS)
    normal = NormalDist()
    values = np.quantile(sample, [normal.cdf(s) for s in scores])
    values[0], values[-1] = low, high
    knots = np.unique(values)
    middle = [float(scores[values == knot].mean()) for knot in knots]
    return tuple(float(knot) for knot in knots), tuple(middle)


def _piecewise(x: Column, xs: Sequence[float], ys: Sequence[float]) -> Column:
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
            number = _encode_number(as_number(col(raw), kinds[raw]), feature)
            expressions.append(number.cast(feature.storage).alias(feature.name))
        else:
            df, code = _encode_category(df, raw, feature, f"__code_{i}")
            expressions.append(code.cast("float").alias(feature.name))
    return df.select(*kept, *expressions)


def _encode_number(x: Column, feature: NumericFeature) -> Column:
    known = F.coalesce(x, F.lit(feature.impute))
    if feature.transform == "quantile":
        return _piecewise(known, feature.knots, feature.scores)
    scaled = _signed_log(known) if feature.transform == "log" else known
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
        x = _piecewise(y, feature.scores, feature.knots)
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

"""Fit the encoder on train rows: nothing is learnt anywhere else."""

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
)
from raresmith.encoding.names import RESERVED, safe_names
from raresmith.errors import DataError
from raresmith.spark.columns import ROW_ID, col
from raresmith.spark.encoding.encode import as_number, signed_log

FLOAT_STEPS = 2**21
"""Steps of a whole column's reach that 32-bit floats hold, so that four times the train range stays exact."""
QUANTILE_KNOTS = 33
SAMPLE_CELLS = 20_000_000
"""Most values of the hash sample that quantiles are taken from: 160 MB on the driver, whatever the table."""
MOST_DECIMALS = 4
"""Finer grids than this do not count as one."""
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
            indicators.append(_null_indicator(indicator, seen_values=statistics[f"{c.name} count"] > 0))
    return Encoder(features=(*features, *indicators), label=label, raw_schema=raw_schema.json())


def _null_indicator(name: str, seen_values: bool) -> CategoricalFeature:
    """Whether a number was null; "false" was seen in train where there were values."""
    seen = (2, 3) if seen_values else (3,)
    return CategoricalFeature(name=name, source="", type="boolean", categories=("false", "true"), seen=seen, made=True)


def _normalisation(field: t.StructField, config: PrepareConfig) -> Normalisation:
    asked = config.normalise_columns.get(field.name, config.normalise)
    if asked == "log" and isinstance(field.dataType, (*_INSTANTS, t.DateType)):
        return "standard"  # an instant has no size
    return asked


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
            F.stddev_pop(signed_log(x) if logarithmic else x).alias(f"{c.name} deviation"),
        ]
        if logarithmic:
            aggregates.append(F.avg(signed_log(x)).alias(f"{c.name} log mean"))
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
        return "float" if reach / feature.step < FLOAT_STEPS else "double"
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

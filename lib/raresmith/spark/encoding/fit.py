"""Fit the encoder on train rows: nothing is learnt anywhere else."""

import dataclasses
import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Literal

import numpy as np
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import Normalisation, PrepareConfig
from raresmith.encoding.decode import WIDEST, encoded_inner
from raresmith.encoding.encoder import (
    FIRST_MASS,
    NO_NUMBER,
    NULL,
    NUMBER,
    UNSEEN,
    CategoricalFeature,
    Encoder,
    Feature,
    Label,
    NumericFeature,
    state_categories,
)
from raresmith.encoding.names import RESERVED, safe_names
from raresmith.errors import DataError
from raresmith.spark.columns import ROW_ID, col
from raresmith.spark.encoding.numbers import INSTANTS, INTEGERS, Numbers, finest_step, learnt

FLOAT_STEPS = 2**21
"""Steps of a whole column's reach that 32-bit floats hold, so that four times the train range stays exact."""
QUANTILE_KNOTS = 33
SAMPLE_CELLS = 20_000_000
"""Most values of the hash sample that quantiles are taken from: 160 MB on the driver, whatever the table."""
EXACT_STEPS = 2**50
"""Steps up to which a float of 64 bits may be centred and scaled by any number and come back whole; wider columns are
scaled by a power of two, which rounds nothing."""


def is_categorical(field: t.StructField, config: PrepareConfig) -> bool:
    """Whether the raw column is encoded as codes.

    Raises
    ------
    DataError
        If its type can be no feature at all: a category is kept as text, which gives the value back.
    """
    kind = field.dataType
    if isinstance(kind, (t.StringType, t.BooleanType)):
        return True
    if isinstance(kind, (t.FractionalType, *INTEGERS, *INSTANTS, t.DateType)):
        return field.name in config.categorical
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
    drawn: Column | None = None,
) -> Encoder:
    """The encoder of the feature `columns`, fitted on `train`.

    One pass over the numbers, one aggregation for the categories (more passes where columns are wide or have a value
    far beyond all others), and one over a bounded sample by hash of row_id where a column asks for quantiles. Means and
    deviations are rounded to seven digits, because a sum of floats depends
    on its order and must not show in the result.

    Parameters
    ----------
    train : DataFrame with ROW_ID and `columns`
        Train rows only.
    columns
        The feature columns in order, raw ones and those made here.
    made
        Names of those among them that are no raw columns.
    drawn
        Which of the rows are looked at for values that are masses; without it there are none.

    Raises
    ------
    DataError
        If there are no train rows, or a number cannot be held exactly enough.
    """
    names = dict(zip([c.name for c in columns], safe_names([c.name for c in columns], RESERVED), strict=True))
    numeric = [c for c in columns if not is_categorical(c, config)]
    categorical = [c for c in columns if is_categorical(c, config)]
    found, rows = learnt(
        train, [Numbers(field=c, normalisation=_normalisation(c, config), made=c.name in made) for c in numeric], drawn
    )
    if rows == 0:
        raise DataError("the train split has no rows; check [split] against the dates and values of the table")
    quantiles = _quantiles(train, found, rows)
    numbers = {c.name: c for c in found}
    counts = _category_counts(train, categorical, config)

    features: list[Feature] = []
    states: list[Feature] = []
    called = [f"{c.name}_{'state' if numbers[c.name].masses else 'is_null'}" for c in numeric]
    state_names = iter(safe_names(called, RESERVED | set(names.values())))
    for c in columns:
        is_made = c.name in made
        if is_categorical(c, config):
            features.append(_categorical_feature(c, names[c.name], is_made, counts[c.name], config))
            continue
        state, found_of = next(state_names), numbers[c.name]
        has_null = found_of.count < rows
        is_stated = has_null or bool(found_of.masses)
        features.append(_numeric_feature(found_of, names[c.name], state if is_stated else "", quantiles.get(c.name)))
        if is_stated:
            states.append(_state(state, found_of, has_null=has_null))
    return Encoder(features=(*features, *states), label=label, raw_schema=raw_schema.json())


def _state(name: str, of: Numbers, *, has_null: bool) -> CategoricalFeature:
    """Whether a number counts, is null, or is a mass."""
    seen = [NUMBER] * (of.count > 0) + [NO_NUMBER] * has_null
    return CategoricalFeature(
        name=name, source="", type="string" if of.masses else "boolean", categories=state_categories(of.masses),
        seen=(*seen, *range(FIRST_MASS, FIRST_MASS + len(of.masses))), made=True,
    )  # fmt: skip


def _normalisation(field: t.StructField, config: PrepareConfig) -> Normalisation:
    asked = config.normalise_columns.get(field.name, config.normalise)
    if asked == "log" and isinstance(field.dataType, (*INSTANTS, t.DateType)):
        return "standard"  # an instant has no size
    return asked


def _quantiles(train: DataFrame, numeric: Sequence[Numbers], rows: int) -> dict[str, np.ndarray]:
    """Sorted values of a hash sample for each column that is scaled by quantiles."""
    asking = [c for c in numeric if c.normalisation in ("robust", "quantile")]
    if not asking:
        return {}
    wanted = max(1000, min(100_000, SAMPLE_CELLS // len(asking)))
    sample = train
    if rows > wanted:
        # percentile_approx depends on the order in which it merges; a hash of the row id picks the same rows always.
        share = int(wanted / rows * 2**32)
        sample = train.where(F.pmod(F.xxhash64(F.col(ROW_ID), F.lit(0)), F.lit(2**32)) < share)
    table = sample.select(*[c.number.alias(str(i)) for i, c in enumerate(asking)]).toArrow()
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


def _numeric_feature(c: Numbers, name: str, state: str, sample: np.ndarray | None) -> NumericFeature:
    low, high = c.low, c.high
    # A mean need not lie where all values do, for it stands in for a null alone.
    step = finest_step(c.kind) or c.step
    deviation = float(f"{c.deviation:.7g}")
    if not math.isfinite(deviation) or not math.isfinite(c.mean):
        raise DataError(
            f"column {c.name!r} has values up to {c.size:.3g}, whose spread no float can hold; "
            f'set prepare.normalise_columns.{c.name} = "log" or "quantile", or leave the column out'
        )
    spread = deviation if deviation > 0 else max(abs(high - low), 1.0)
    center, scale = 0.0, 1.0
    knots: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()
    transform = {"log": "log", "quantile": "quantile"}.get(c.normalisation, "linear")
    if c.normalisation in ("standard", "log"):
        center, scale = _rounded(c.log_mean if c.normalisation == "log" else c.mean, spread), deviation
    elif c.normalisation == "minmax":
        center, scale = low / 2 + high / 2, high / 2 - low / 2
    elif c.normalisation == "robust" and sample is not None and len(sample):
        first, center, third = (float(q) for q in np.quantile(sample, [0.25, 0.5, 0.75]))
        scale = third - first if third > first else deviation
    elif c.normalisation == "quantile" and sample is not None and len(sample):
        knots, scores = _knots(sample, low, high)
        if len(knots) < 2:
            transform, center = "linear", low
    if not scale > 0:
        scale = 1.0
    if c.origin is not None:
        center, step = float(round(center)), 1.0
        if high >= EXACT_STEPS:
            scale = 2.0 ** round(math.log2(scale))

    impute = _rounded(c.mean, spread)
    impute = round(impute / step) * step if step else impute
    impute = min(max(impute, low), high)
    feature = NumericFeature(
        name=name, source=c.name, made=c.made, type=c.field.dataType.simpleString(), transform=transform,  # type: ignore[arg-type]
        center=center, scale=scale, low=low, high=high, impute=impute, step=c.step, storage="float",
        state=state, masses=c.masses, is_day_number=c.is_day_number, knots=knots, scores=scores,
        encoded_low=0.0, encoded_high=0.0, origin=c.origin, outlier=c.outlier,
    )  # fmt: skip
    storage = _storage(c, feature)
    ends = [encoded_inner(feature, x) for x in (low, high)]
    if storage == "float":
        ends = [float(np.float32(end)) for end in ends]
    return dataclasses.replace(feature, storage=storage, encoded_low=ends[0], encoded_high=ends[1])


def _storage(c: Numbers, feature: NumericFeature) -> Literal["float", "double"]:
    """double where the grid of the raw values is too fine for 24 bits over their range; refuse where for 53 too."""
    if not feature.is_whole:
        return "float"
    step = 1.0 if feature.origin is not None else feature.step
    reach = max(abs(feature.low - feature.center), abs(feature.high - feature.center), 1.0)
    if feature.transform != "linear":
        # The slope of log and quantile maps varies; 24 bits hold only small counts exactly.
        reach = max(abs(feature.low), abs(feature.high), 1.0) * 64
    extent = feature.high - feature.low if feature.knots else max(abs(feature.low), abs(feature.high))
    if feature.origin is not None and (extent >= 2**53 or abs(feature.origin) >= 10**WIDEST):
        raise DataError(
            f"column {c.name!r} spans {extent:.3g} steps of {feature.step:g}, too many to come back whole from 64-bit "
            "floats: they are names rather than quantities; put the column into source.ignore or prepare.categorical"
        )
    if feature.transform != "linear" and extent / step >= 2**44:
        raise DataError(
            f"column {c.name!r} spans {extent / step:.3g} steps of {feature.step:g}, too many to "
            f'come back whole from normalisation "{feature.transform}"; '
            f'set prepare.normalise_columns.{c.name} = "standard"'
        )
    return "float" if reach / step < FLOAT_STEPS else "double"


def _knots(sample: np.ndarray, low: float, high: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Raw values and normal scores of a strictly increasing piecewise linear map; ties share their middle score."""
    scores = np.linspace(-3, 3, QUANTILE_KNOTS)
    normal = NormalDist()
    values = np.quantile(sample, [normal.cdf(s) for s in scores])
    values[0], values[-1] = low, high
    knots = np.unique(values)
    middle = [float(scores[values == knot].mean()) for knot in knots]
    return tuple(float(knot) for knot in knots), tuple(middle)

"""Made rows in the raw schema and units, beside the original ones."""

import json

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import Config
from raresmith.encoder import Encoder
from raresmith.spark.encode import decode
from raresmith.spark.tables import col
from raresmith.spark.working import ROW_ID

COPIES = "made rows equal to an original row, left out"
TAKEN_OUT = "original rows taken out by undersampling or cleaning"


def raw_schema(encoder: Encoder) -> t.StructType:
    """The columns of the raw table that `encoder` was fitted on."""
    return t.StructType.fromJson(json.loads(encoder.raw_schema))


def decode_made(made: DataFrame, base: DataFrame, encoder: Encoder, config: Config, origin: str) -> DataFrame:
    """`made` rows in the raw schema, with origin, parent_row_id and run_id.

    Features are decoded and kept in the train range. Columns that are no feature (identifiers, the timestamp) are the
    base row's, so that they go together; key columns are null, for a made row is no real transaction.

    Parameters
    ----------
    made : DataFrame with base_row_id, label, run_id and the feature columns
    base : DataFrame with ROW_ID and the raw columns
        The original rows.
    """
    raw = raw_schema(encoder)
    decoded = decode(made, encoder, clamp=True)
    classes = F.array(*[F.lit(c) for c in encoder.label.classes])
    types = {f.name: f.dataType for f in raw.fields}
    decoded[encoder.label.name] = F.get(classes, F.col("label")).cast(types[encoder.label.name])
    for name in config.source.key:
        decoded[name] = F.lit(None).cast(types[name])
    carried = [f.name for f in raw.fields if f.name not in decoded]

    # Numbered names: raw columns may be called like the columns of the feature tables.
    values = made.select(
        F.col("base_row_id").alias("parent_row_id"),
        F.col("run_id"),
        *[column.alias(f"v{i}") for i, column in enumerate(decoded.values())],
    )
    parents = base.select(col(ROW_ID).alias("p"), *[col(name).alias(f"c{i}") for i, name in enumerate(carried)])
    joined = values.join(parents, values["parent_row_id"] == parents["p"], "inner") if carried else values
    at = {name: f"v{i}" for i, name in enumerate(decoded)} | {name: f"c{i}" for i, name in enumerate(carried)}
    return joined.select(
        *[F.col(at[f.name]).cast(f.dataType).alias(f.name) for f in raw.fields],
        F.lit(origin).alias("origin"),
        F.col("parent_row_id"),
        F.col("run_id"),
    )


def without_copies(made: DataFrame, originals: DataFrame, encoder: Encoder, config: Config) -> DataFrame:
    """The rows of `made` that differ from each row of `originals` in some column that features come from.

    Those are the raw feature columns, and where features are made of the past of an entity or of the moment, the
    entity and the timestamp as well.
    """
    compared = [feature.source for feature in encoder.features if not feature.made and feature.source]
    windows = config.prepare.windows
    behind = [window.entity for window in windows]
    behind += [config.source.timestamp] if windows or config.prepare.calendar else []
    compared = list(dict.fromkeys([*compared, *behind]))
    same = F.lit(True)
    left, right = made.alias("made"), originals.select(*[col(n) for n in compared]).distinct().alias("original")
    for name in compared:
        quoted = "`" + name.replace("`", "``") + "`"
        same = same & F.col(f"made.{quoted}").eqNullSafe(F.col(f"original.{quoted}"))
    return left.join(right, same, "left_anti")


def as_originals(rows: DataFrame, encoder: Encoder, run_id: str) -> DataFrame:
    """Raw `rows` with origin, parent_row_id and run_id."""
    raw = raw_schema(encoder)
    return rows.select(
        *[col(f.name) for f in raw.fields],
        F.lit("original").alias("origin"),
        F.lit(None).cast("bigint").alias("parent_row_id"),
        F.lit(run_id).alias("run_id"),
    )

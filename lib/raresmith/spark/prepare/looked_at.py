"""Some train rows, drawn by a hash of the row, whose values are looked at."""

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.checks.features import Beside, too_many
from raresmith.checks.seen import seen
from raresmith.config import Config
from raresmith.encoding.encoder import Encoder
from raresmith.spark.columns import MALFORMED, ROW_ID, col
from raresmith.spark.encoding.drawn import hash_up_to
from raresmith.spark.prepare.row_id import identity_of, plain_id
from raresmith.tables.split_counts import SplitCounts

_POSITIVE, _OTHERS = 2_000, 8_000
"""Rows that are looked at, about."""
_VALUES = 500_000
"""That are looked at in all, of wide tables' fewer rows."""
_PERSONAL = (t.StringType, t.IntegralType, t.DecimalType)
"""Types in which something may say who somebody is."""


def some_train_rows(features: DataFrame, encoder: Encoder, split: SplitCounts | None) -> pa.Table:
    """Train rows of the table `features`: of the positive class more than its share.

    `split` is how many rows of each class each split has, where they were counted.
    """
    train, classes = features.where("split = 'train'"), encoder.label.classes
    if split is None:
        rows = {classes[row["label"]]: row["count"] for row in train.groupBy("label").count().collect()}
    else:
        rows = dict(split.rows.get("train", {}))
    positives = rows.pop(encoder.label.positive, 0)
    others = sum(rows.values())
    share = min(1.0, _VALUES / (_POSITIVE + _OTHERS) / len(encoder.names))
    is_positive = col("label") == classes.index(encoder.label.positive)
    last = F.when(is_positive, hash_up_to(share * _POSITIVE, positives)).otherwise(hash_up_to(share * _OTHERS, others))
    return train.where(F.xxhash64("row_id") <= last).toArrow().sort_by("row_id")


def beside(raw: DataFrame, found: pa.Table, encoder: Encoder, config: Config) -> Beside:
    """What the rows `found`, of the table `features`, have in `raw` beside their features; in one query, or none where
    there is nothing to look at."""
    schema, timestamp = raw.drop(MALFORMED).schema, config.source.timestamp
    known = {f.source for f in encoder.features if not f.made} - {*too_many(encoder)} | {encoder.label.name, timestamp}
    fields = [f for f in schema.fields if f.name not in known and isinstance(f.dataType, _PERSONAL)]
    if not fields and not timestamp:
        return Beside()
    every = max(1, len(found) * len(fields) // _VALUES)
    ids = found.select(["row_id", "label"]).take(np.arange(0, len(found), every))
    ids = ids.rename_columns({"row_id": ROW_ID, "label": "class"})
    values = [col(f.name).alias(f"v{i}") for i, f in enumerate(fields)]
    day = F.to_date(col(timestamp)) if timestamp else F.lit(None).cast("date")
    rows = raw.select(plain_id(identity_of(raw.schema, config.source.key)).alias(ROW_ID), day.alias("day"), *values)
    drawn = rows.join(F.broadcast(raw.sparkSession.createDataFrame(ids)), ROW_ID).toArrow()
    # A row that was set aside may share its id with one that was not.
    drawn = drawn.take(np.unique(drawn[ROW_ID].to_numpy(), return_index=True)[1])
    positive = encoder.label.classes.index(encoder.label.positive)
    return Beside(
        columns=[seen(f.name, f.dataType.simpleString(), drawn[f"v{i}"]) for i, f in enumerate(fields)],
        days=drawn["day"].to_pylist() if timestamp else (),
        is_positive=drawn["class"].to_numpy() == positive,
    )

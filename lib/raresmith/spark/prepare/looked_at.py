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
from raresmith.spark.prepare.row_id import identity_of, plain_id

_POSITIVE, _OTHERS = 2_000, 8_000
"""Rows that are looked at."""
_VALUES = 500_000
"""That are looked at in all, of wide tables' fewer rows."""
_PERSONAL = (t.StringType, t.IntegralType, t.DecimalType)
"""Types in which something may say who somebody is."""


def some_train_rows(features: DataFrame, encoder: Encoder, n_rows: int) -> pa.Table:
    """Train rows of the table `features`, of `n_rows` rows: more of the positive class than its share."""
    positive = encoder.label.classes.index(encoder.label.positive)
    by_hash, share = F.xxhash64("row_id"), min(1.0, _VALUES / (_POSITIVE + _OTHERS) / len(encoder.names))
    # Each task would send as many of the others as are wanted in all; of a large table some are enough.
    few = by_hash < F.lit(int(2**64 * min(1.0, 8 * share * _OTHERS / max(1, n_rows))) - 2**63 - 1)
    train, of_class = features.where("split = 'train'"), col("label") == positive
    parts = ((of_class, int(share * _POSITIVE)), (~of_class & few, int(share * _OTHERS)))
    # The last hash of each part first: a query on all columns of a wide table is planned once then.
    lasts = [train.where(which).select(by_hash.alias("h")).orderBy("h").limit(rows) for which, rows in parts]
    last = [part.agg(F.max("h").alias("h"), F.lit(place).alias("place")) for place, part in enumerate(lasts)]
    found_last = {row["place"]: row["h"] for row in last[0].unionAll(last[1]).collect()}
    drawn = [which & (by_hash <= F.lit(found_last[place])) for place, (which, _) in enumerate(parts)]
    return train.where(drawn[0] | drawn[1]).toArrow().sort_by("row_id")


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

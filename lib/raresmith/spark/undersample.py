"""Random undersampling: of each class the rows with the least hashes stay."""

from collections.abc import Mapping

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

_BUCKET_BITS = 16


def is_kept(rows: DataFrame, keep: Mapping[int, int], random_state: int) -> Column:
    """Whether a row of `rows` (row_id, label) is among the `keep` rows of its class; rows of other classes all are.

    Costs two jobs a class; of which at most 2^16 counts and the hashes of one count come to the driver.
    """
    row_hash = F.xxhash64(F.lit(random_state), F.lit("undersample"), F.col("row_id"))
    kept = F.lit(True)
    for label, n_rows in keep.items():
        hashes = rows.where(F.col("label") == label).select(row_hash.alias("hash"))
        within = row_hash <= _hash_of_rank(hashes, n_rows) if n_rows else F.lit(False)
        kept = F.when(F.col("label") == label, within).otherwise(kept)
    return kept


def _hash_of_rank(hashes: DataFrame, rank: int) -> int:
    """The hash that so many do not exceed."""
    bucket = F.shiftright("hash", 64 - _BUCKET_BITS)
    counted = hashes.groupBy(bucket.alias("bucket")).count().orderBy("bucket").toArrow()
    ends = np.cumsum(counted.column("count").to_numpy())
    place = int(np.searchsorted(ends, rank))
    before = int(ends[place - 1]) if place else 0
    inside = hashes.where(bucket == int(counted.column("bucket")[place].as_py())).toArrow()
    return int(np.sort(inside.column(0).to_numpy())[rank - before - 1])

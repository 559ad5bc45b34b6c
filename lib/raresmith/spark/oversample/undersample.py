"""Random undersampling: of each class the rows with the least hashes stay."""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from raresmith.spark.neighbors.hash_rank import hash_of_rank


def is_kept(rows: DataFrame, keep: Mapping[int, int], random_state: int) -> Column:
    """Whether a row of `rows` (row_id, label) is among the `keep` rows of its class; rows of other classes all are.

    Costs two jobs a class.
    """
    row_hash = F.xxhash64(F.lit(random_state), F.lit("undersample"), F.col("row_id"))
    kept = F.lit(True)
    for label, n_rows in keep.items():
        hashes = rows.where(F.col("label") == label).select(row_hash.alias("hash"))
        within = row_hash <= hash_of_rank(hashes, n_rows)
        kept = F.when(F.col("label") == label, within).otherwise(kept)
    return kept

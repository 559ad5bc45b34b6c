"""Test rows that say little, for a train row is the same or nearly."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from raresmith.encoding.encoder import Encoder
from raresmith.evaluation.verdict import NearDuplicates
from raresmith.spark.columns import quoted

STEPS = 100
"""Encoded features are near where they round to the same hundredth; codes of categories are whole."""


def near_duplicates(features: DataFrame, encoder: Encoder, positive: int) -> NearDuplicates:
    """How many test rows have a train row whose every feature rounds to the same: one join of hashes."""
    # As floats, which hold any value, and with one zero.
    rounded = ", ".join(f"rint(CAST({quoted(name)} AS DOUBLE) * {STEPS}D) + 0D" for name in encoder.names)
    hashed = features.select("split", "label", F.expr(f"xxhash64({rounded})").alias("hash"))
    train = hashed.where(F.col("split") == "train").select("hash")
    near = hashed.where(F.col("split") == "test").join(train, "hash", "left_semi")
    found = near.agg(F.count(F.lit(1)), F.count_if(F.col("label") == positive)).first()
    assert found is not None
    return NearDuplicates(*found)

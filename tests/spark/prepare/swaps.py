"""Rows whose labels can be exchanged and the split by hash stays as it is."""

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from raresmith.tables.split_counts import SPLITS


def swappable(features: DataFrame, random_state: int, split: str) -> list[int]:
    """Ids of rows of `split`, as many of either class, on that side of the cuts of both classes.

    The split counts the rows of each class, and finds as many where the labels of all of these rows are turned.
    """
    of_row = F.xxhash64(F.lit(random_state), F.lit("row"), F.col("row_id")).alias("hash")
    rows: pd.DataFrame = features.select("row_id", "split", "label", of_row).orderBy("row_id").toPandas()
    last = rows.groupby(["split", "label"])["hash"].max()
    before = SPLITS[SPLITS.index(split) - 1]
    within = (rows["split"] == split) & (rows["hash"] > last[before].max())
    if split != SPLITS[-1]:
        within &= rows["hash"] < last[split].min()
    by_class = [of_class["row_id"] for _, of_class in rows[within].groupby("label")]
    return [int(row_id) for ids in by_class for row_id in ids.head(min(map(len, by_class)))]

"""Bounded aggregates of a scored table: all that the figures need, whatever the number of rows.

A scored table has `row_id`, `split`, `positive` (1 or 0) and score columns in millionths (`counts.SCORE_STEPS`).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.ml.classification import ProbabilisticClassificationModel
from pyspark.ml.feature import Bucketizer
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from raresmith.evaluation.counts import SCORE_STEPS, PairCounts, ScoreCounts, level_cuts, score_counts
from raresmith.evaluation.metrics import card_precision


def with_probability(df: DataFrame, model: ProbabilisticClassificationModel, positive: int, column: str) -> DataFrame:
    """`df`, which holds FEATURES, with the bigint `column`: the probability of class `positive` in millionths."""
    probability = f"__probability_{column}"
    scored = model.copy().setRawPredictionCol("").setPredictionCol("").setProbabilityCol(probability).transform(df)
    millionths = F.floor(vector_to_array(F.col(probability))[positive] * SCORE_STEPS + 0.5)
    return scored.withColumn(column, millionths).drop(probability)


def count_scores(scored: DataFrame, columns: Sequence[str]) -> dict[tuple[str, str], ScoreCounts]:
    """Rows of either class per distinct score, by score column and split, in one pass."""
    cells = F.array(*(F.struct(F.lit(name).alias("column"), F.col(name).alias("score")) for name in columns))
    counted = (
        scored.select("split", "positive", F.explode(cells).alias("cell"))
        .groupBy("split", "cell.column", "cell.score")
        .agg(F.sum("positive").alias("positive"), F.sum(1 - F.col("positive")).alias("negative"))
    )
    return {
        (column, split): score_counts(rows["score"], rows["positive"], rows["negative"])
        for (column, split), rows in _collect(counted, ["column", "split"]).items()
    }


def count_pairs(
    scored: DataFrame, pairs: Mapping[str, str], counts: Mapping[str, ScoreCounts]
) -> dict[str, PairCounts]:
    """Rows of either class per pair of levels: for each second score column in `pairs` beside its first one.

    `counts` are those of the columns on the same rows; they say where the levels lie.
    """
    if not pairs:
        return {}
    columns = sorted({*pairs, *pairs.values()})
    # Cuts are never empty: there is a positive row, and its score is one.
    levels = Bucketizer(
        splitsArray=[[-math.inf, *level_cuts(counts[name]).tolist(), math.inf] for name in columns],
        inputCols=columns,
        outputCols=[f"__level_{name}" for name in columns],
    ).transform(scored.select("positive", *columns))
    cells = F.array(
        *(
            F.struct(
                F.lit(second).alias("pair"),
                F.col(f"__level_{first}").cast("int").alias("first"),
                F.col(f"__level_{second}").cast("int").alias("second"),
            )
            for second, first in pairs.items()
        )
    )
    counted = (
        levels.select("positive", F.explode(cells).alias("cell"))
        .groupBy("cell.pair", "cell.first", "cell.second")
        .agg(F.sum("positive").alias("positive"), F.sum(1 - F.col("positive")).alias("negative"))
        # The bootstrap draws cell by cell: without an order, another partitioning would draw other numbers.
        .orderBy("pair", "first", "second")
    )
    return {pair: PairCounts(**rows) for (pair,), rows in _collect(counted, ["pair"]).items()}


def card_precisions(scored: DataFrame, cards: DataFrame, columns: Sequence[str], top_k: int) -> dict[str, float]:
    """Card precision of each score column; none of them where no row has an entity and a day.

    `cards` has row_id, entity (any type) and day.
    """
    known = cards.where(F.col("entity").isNotNull() & F.col("day").isNotNull())
    cells = F.array(*(F.struct(F.lit(name).alias("column"), F.col(name).alias("score")) for name in columns))
    by_card = (
        scored.join(known.select("row_id", F.col("entity").cast("string").alias("entity"), "day"), "row_id")
        .select("day", "entity", "positive", F.explode(cells).alias("cell"))
        .groupBy("cell.column", "day", "entity")
        .agg(F.max("cell.score").alias("score"), F.max("positive").alias("positive"))
        .persist()
    )
    # On the n-th day at most (n - 1) · top_k cards are known, so n · top_k cards are enough of it.
    days = [row["day"] for row in by_card.select("day").distinct().orderBy("day").collect()]
    if not days:
        by_card.unpersist()
        return {}
    numbers = F.create_map(*(part for n, day in enumerate(days, 1) for part in (F.lit(day), F.lit(n))))
    best_first = Window.partitionBy("column", "day").orderBy(F.col("score").desc(), "entity")
    kept = (
        by_card.withColumn("place", F.row_number().over(best_first))
        .where(F.col("place") <= top_k * numbers[F.col("day")])
        .select("column", numbers[F.col("day")].alias("day"), "entity", "score", "positive")
    )
    found = _collect(kept, ["column"])
    by_card.unpersist()
    return {column: card_precision(**rows, top_k=top_k) for (column,), rows in found.items()}


def _collect(df: DataFrame, keys: list[str]) -> dict[tuple[str, ...], dict[str, NDArray[Any]]]:
    """The columns of `df` on the driver, by the text columns `keys`; the order of rows is kept."""
    table = df.toArrow()
    groups = list(zip(*(table.column(key).to_pylist() for key in keys), strict=True))
    # NumPy sorts texts of a fixed width, not objects.
    columns = {
        name: np.asarray(table.column(name).to_pylist(), dtype=str)
        if pa.types.is_string(table.column(name).type)
        else table.column(name).to_numpy()
        for name in table.column_names
        if name not in keys
    }
    places: dict[tuple[str, ...], list[int]] = {}
    for place, group in enumerate(groups):
        places.setdefault(group, []).append(place)
    return {group: {name: values[rows] for name, values in columns.items()} for group, rows in places.items()}

"""Bounded aggregates of a scored table: all that the figures need, whatever the number of rows.

A scored table has `row_id`, `split`, `label` and score columns in millionths (`counts.SCORE_STEPS`), each of which
scores one class: `columns` maps their names to the label of that class, whose rows are positive there.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.ml.classification import ProbabilisticClassificationModel
from pyspark.ml.feature import Bucketizer
from pyspark.ml.functions import vector_to_array
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from raresmith.evaluation.counts import SCORE_STEPS, PairCounts, ScoreCounts, level_cuts, score_counts
from raresmith.evaluation.metrics import card_precision

PROBABILITY = "__probability"
"""Column of a model's probabilities, until the scores are taken of it."""


def with_probability(df: DataFrame, model: ProbabilisticClassificationModel, columns: Mapping[str, int]) -> DataFrame:
    """`df`, which holds FEATURES, with the bigint `columns`: the probability of each one's class in millionths."""
    scored = model.copy().setRawPredictionCol("").setPredictionCol("").setProbabilityCol(PROBABILITY).transform(df)
    probabilities = vector_to_array(F.col(PROBABILITY))
    millionths = {name: F.floor(probabilities[label] * SCORE_STEPS + 0.5) for name, label in columns.items()}
    return scored.withColumns(millionths).drop(PROBABILITY)


def count_scores(scored: DataFrame, columns: Mapping[str, int]) -> dict[tuple[str, str], ScoreCounts]:
    """Rows of the class and others per distinct score, by score column and split, in one pass."""
    counted = (
        scored.select("split", F.explode(_cells(columns)).alias("cell"))
        .groupBy("split", "cell.column", "cell.score")
        .agg(*_counts())
    )
    return {
        (column, split): score_counts(rows["score"], rows["positive"], rows["negative"])
        for (column, split), rows in _collect(counted, ["column", "split"]).items()
    }


def count_pairs(
    scored: DataFrame, pairs: Mapping[str, str], counts: Mapping[str, ScoreCounts], columns: Mapping[str, int]
) -> dict[str, PairCounts]:
    """Rows of the class and others per pair of levels: for each second score column in `pairs` beside its first one.

    `counts` are those of the columns on the same rows; they say where the levels lie.
    """
    if not pairs:
        return {}
    names = sorted({*pairs, *pairs.values()})
    # Cuts are never empty: there is a positive row, and its score is one.
    levels = Bucketizer(
        splitsArray=[[-math.inf, *level_cuts(counts[name]).tolist(), math.inf] for name in names],
        inputCols=names,
        outputCols=[f"__level_{name}" for name in names],
    ).transform(scored.select("label", *names))
    cells = F.array(
        *(
            F.struct(
                F.lit(second).alias("pair"),
                F.col(f"__level_{first}").cast("int").alias("first"),
                F.col(f"__level_{second}").cast("int").alias("second"),
                _is_positive(columns[second]),
            )
            for second, first in pairs.items()
        )
    )
    counted = (
        levels.select(F.explode(cells).alias("cell"))
        .groupBy("cell.pair", "cell.first", "cell.second")
        .agg(*_counts())
        # The bootstrap draws cell by cell: without an order, another partitioning would draw other numbers.
        .orderBy("pair", "first", "second")
    )
    return {pair: PairCounts(**rows) for (pair,), rows in _collect(counted, ["pair"]).items()}


class CardFigures(NamedTuple):
    """What the cards say of one score column."""

    precision: float
    """Card precision."""
    n_positive: int
    """Cards with a row of the class."""
    n_rows: int
    """Rows of the class that have a card."""


def card_figures(scored: DataFrame, cards: DataFrame, columns: Mapping[str, int], top_k: int) -> dict[str, CardFigures]:
    """The figures of each score column; none of them where no row has an entity and a day.

    `cards` has row_id, entity (any type) and day.
    """
    known = cards.where(F.col("entity").isNotNull() & F.col("day").isNotNull())
    by_card = (
        scored.join(known.select("row_id", F.col("entity").cast("string").alias("entity"), "day"), "row_id")
        .select("day", "entity", F.explode(_cells(columns)).alias("cell"))
        .groupBy("cell.column", "day", "entity")
        .agg(
            F.max("cell.score").alias("score"),
            F.max("cell.positive").alias("positive"),
            F.sum("cell.positive").alias("rows"),
        )
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
    cards_of = F.count_distinct(F.when(F.col("positive") == 1, F.col("entity")))
    counted = by_card.groupBy("column").agg(cards_of.alias("cards"), F.sum("rows").alias("rows"))
    n_positive = {row["column"]: (row["cards"], row["rows"]) for row in counted.collect()}
    by_card.unpersist()
    return {
        column: CardFigures(card_precision(**rows, top_k=top_k), *n_positive[column])
        for (column,), rows in found.items()
    }


def _counts() -> tuple[Column, Column]:
    """Rows of the class, and of others."""
    positive = F.col("cell.positive")
    return F.sum(positive).alias("positive"), F.sum(1 - positive).alias("negative")


def _is_positive(label: int) -> Column:
    return (F.col("label") == label).cast("int").alias("positive")


def _cells(columns: Mapping[str, int]) -> Column:
    """Of each score column its name, the score, and whether the row is of its class."""
    return F.array(
        *(
            F.struct(F.lit(name).alias("column"), F.col(name).alias("score"), _is_positive(label))
            for name, label in columns.items()
        )
    )


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

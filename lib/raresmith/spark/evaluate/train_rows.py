"""The rows that a classifier is trained on under each strategy, in an order that is the same everywhere."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from raresmith.encoding.encoder import Encoder
from raresmith.evaluation.verdict import Strategy
from raresmith.spark.evaluate.classifiers.base import FEATURES, WEIGHT
from raresmith.tables.split_counts import SPLITS

ROWS_PER_PARTITION = 100_000
"""Train rows of one task, in the middle; from the table's size alone, never from the cluster's."""
WEIGHT_STEPS = 2**16
"""Weights are whole numbers of 1 / WEIGHT_STEPS, so that their sums are exact in any order."""

ClassRows = Mapping[str, Mapping[int, int]]
"""Rows of each class, by split, by the table of made rows, and of those that were "removed"."""


@dataclass(frozen=True, kw_only=True)
class TrainRows:
    """All that strategies choose from."""

    real: DataFrame
    """The real train rows: row_id, label and the features, or the vector FEATURES of them."""
    made: Mapping[str, DataFrame]
    """The made rows by table, with the same columns."""
    removed: DataFrame | None
    """row_id of the train rows that were taken out, if any were."""
    class_rows: ClassRows
    random_state: int

    def as_vectors(self, vectors: Callable[[DataFrame], DataFrame]) -> "TrainRows":
        """The same rows as the vectors that a classifier sees."""

        def seen(df: DataFrame) -> DataFrame:
            return vectors(df).select("row_id", "label", FEATURES)

        return replace(self, real=seen(self.real), made={name: seen(df) for name, df in self.made.items()})

    def under(self, strategy: Strategy) -> DataFrame:
        """`chosen`, in a fixed order."""
        return in_fixed_order(self.chosen(strategy), sum(self.counts(strategy).values()))

    def chosen(self, strategy: Strategy) -> DataFrame:
        """row_id, label, the vector FEATURES and the weight of the rows that are learnt from."""
        weights = balanced_weights(self.class_rows["train"]) if strategy.kind == "class_weight" else {}
        weight = F.lit(1.0)
        for label, value in weights.items():
            weight = F.when(F.col("label") == label, value).otherwise(weight)
        rows = self.real
        if self.removed is not None and strategy.is_reduced:
            rows = rows.join(self.removed.select("row_id"), "row_id", "left_anti").select(rows.columns)
        if strategy.kind == "random":
            added = self.class_rows[strategy.made_table]
            rows = rows.unionByName(repeated_rows(rows, self.class_rows["train"], added, self.random_state))
        elif strategy.made_table:
            rows = rows.unionByName(self.made[strategy.made_table])
        return rows.select("row_id", "label", FEATURES, weight.alias(WEIGHT))

    def most_rows(self, strategies: Iterable[Strategy]) -> int:
        """The real rows of all splits, and those that one of `strategies` learns from: the most of any."""
        learnt = max(sum(self.counts(strategy).values()) for strategy in strategies)
        return learnt + sum(sum(self.class_rows.get(split, {}).values()) for split in SPLITS)

    def counts(self, strategy: Strategy) -> dict[int, int]:
        """Rows of each class in `under`."""
        train = self.class_rows["train"]
        added = self.class_rows[strategy.made_table] if strategy.made_table else {}
        less = self.class_rows.get("removed", {}) if strategy.is_reduced else {}
        return {label: train.get(label, 0) + added.get(label, 0) - less.get(label, 0) for label in {*train, *added}}


def as_arrays(df: DataFrame, encoder: Encoder) -> DataFrame:
    """row_id, label and, where `df` has it, split, beside one array FEATURES: a thousand columns are planned as one."""
    known = [name for name in ("row_id", "split", "label") if name in df.columns]
    return df.select(*known, F.array(*map(F.col, encoder.names)).alias(FEATURES))


def repeated_rows(
    train: DataFrame, train_counts: Mapping[int, int], added: Mapping[int, int], random_state: int
) -> DataFrame:
    """Exactly `added` copies of each class's rows: every row equally often but for one, which a hash decides."""
    copies = F.lit(0)
    # Ranked within its class, because a threshold on the hash would not give the exact number.
    rank = F.row_number().over(Window.partitionBy("label").orderBy(F.xxhash64("row_id", F.lit(random_state)), "row_id"))
    for label, number in added.items():
        each, more = divmod(number, train_counts[label])
        copies = F.when(F.col("label") == label, each + (F.col("__rank") <= more).cast("int")).otherwise(copies)
    ranked = train.where(F.col("label").isin(list(added))).withColumn("__rank", rank)
    repeated = ranked.withColumn("__copy", F.explode(F.array_repeat(F.lit(1), copies)))
    return repeated.select(train.columns)


def balanced_weights(class_rows: Mapping[int, int]) -> dict[int, float]:
    """Weight of a row by class, as scikit-learn's "balanced": rows ÷ (classes · rows of the class).

    Rounded so that sums of weights are exact: MLlib adds them up in the order in which tasks end.
    """
    present = {label: rows for label, rows in class_rows.items() if rows > 0}
    total = sum(present.values())
    return {
        label: max(1, round(total / (len(present) * rows) * WEIGHT_STEPS)) / WEIGHT_STEPS
        for label, rows in present.items()
    }


def in_fixed_order(df: DataFrame, n_rows: int) -> DataFrame:
    """`df` in partitions and an order that follow from its rows alone, by `row_id`.

    MLlib draws each tree's rows by partition number and position. Adaptive execution leaves a repartition by number as
    it is.
    """
    partitions = max(2, math.ceil(n_rows / ROWS_PER_PARTITION))
    return df.repartition(partitions, "row_id").sortWithinPartitions("row_id")


def with_classes(train: DataFrame, encoder: Encoder) -> DataFrame:
    """What MLlib learns from: the vectors, the weights, and labels that name the number of classes.

    The number from metadata saves MLlib a pass, and holds where train lacks the last class.
    """
    classes = {"type": "nominal", "vals": list(encoder.label.classes)}
    return train.select(FEATURES, WEIGHT, F.col("label").cast("double").alias("label", metadata={"ml_attr": classes}))

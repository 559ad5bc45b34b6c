"""The rows that a forest is trained on under each strategy."""

from collections.abc import Mapping

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from raresmith.oversampling.registry import OVERSAMPLERS
from raresmith.spark.evaluate.classifiers.random_forest import FEATURES, WEIGHT, balanced_weights

MADE_TABLES: dict[str, str] = {**dict.fromkeys(OVERSAMPLERS, "synthetic"), "refined": "refined"}
"""Which table of made rows a strategy needs; random repeats real rows to as many as these."""


def is_reduced(strategy: str) -> bool:
    """Whether the strategy leaves out the train rows that undersampling and cleaning took out."""
    return strategy == "reduced" or (strategy in MADE_TABLES and strategy != "random")


def strategy_rows(
    strategy: str,
    train: DataFrame,
    made: Mapping[str, DataFrame],
    removed: DataFrame | None,
    train_counts: Mapping[int, int],
    made_counts: Mapping[str, Mapping[int, int]],
    random_state: int,
) -> DataFrame:
    """Train rows under `strategy`: row_id, label, the vector `x` and the weight.

    Parameters
    ----------
    train, made : row_id, label, x of the real train rows, and of the made rows by table.
    removed : row_id of the train rows that were taken out, if any were.
    train_counts, made_counts : rows by class of train and made rows.
    """
    weights = balanced_weights(train_counts) if strategy == "class_weight" else {}
    weight = F.lit(1.0)
    for label, value in weights.items():
        weight = F.when(F.col("label") == label, value).otherwise(weight)
    rows = train
    if removed is not None and is_reduced(strategy):
        rows = train.join(removed.select("row_id"), "row_id", "left_anti").select(train.columns)
    if strategy == "random":
        rows = train.unionByName(repeated_rows(train, train_counts, made_counts[MADE_TABLES[strategy]], random_state))
    elif strategy in MADE_TABLES:
        rows = rows.unionByName(made[MADE_TABLES[strategy]])
    return rows.select("row_id", "label", FEATURES, weight.alias(WEIGHT))


def strategy_counts(
    strategy: str, train_counts: Mapping[int, int], made_counts: Mapping[str, Mapping[int, int]]
) -> dict[int, int]:
    """Rows of each class in `strategy_rows`."""
    added = made_counts[MADE_TABLES[strategy]] if strategy in MADE_TABLES else {}
    less = made_counts.get("removed", {}) if is_reduced(strategy) else {}
    return {
        label: train_counts.get(label, 0) + added.get(label, 0) - less.get(label, 0)
        for label in {*train_counts, *added}
    }


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

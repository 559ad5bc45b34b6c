"""Rows taken out after oversampling: by random undersampling, and by cleaning where classes meet.

Tomek links (Tomek 1976, IEEE Trans. Syst. Man Cybern. 6:769-772) are two rows of different classes that are each
other's nearest row; edited nearest neighbours (Wilson 1972, IEEE Trans. Syst. Man Cybern. 2:408-421) are rows with
another class among their nearest. Both are taken once over all train and made rows, and out of every class.
"""

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from raresmith.oversampling.sampling_strategy import rows_to_keep
from raresmith.spark.columns import col
from raresmith.spark.neighbors.all_rows import neighborhoods
from raresmith.spark.neighbors.feature_matrix import FeatureColumns
from raresmith.spark.neighbors.neighbor_search import NeighborSearch
from raresmith.spark.oversample.undersample import is_kept

if TYPE_CHECKING:
    from raresmith.config import OversampleConfig


@dataclass(frozen=True, kw_only=True)
class Reduced:
    """What is left."""

    made: DataFrame
    removed: DataFrame
    """row_id, label and reason of the train rows that were taken out."""
    measures: dict[str, Any]
    """Where neighbours were looked for, and which share of the true ones was found; empty without cleaning."""
    kept: tuple[DataFrame, ...]
    """What is kept in Spark until the rows are written."""


def reduced(
    train: DataFrame,
    made: DataFrame,
    features: FeatureColumns,
    classes: tuple[str, ...],
    config: "OversampleConfig",
    random_state: int,
) -> Reduced:
    """The made rows and the train rows, less those that undersampling and then cleaning take out.

    Parameters
    ----------
    train, made : DataFrames with row_id, label and the features
        The label is a position in `classes`.

    Raises
    ------
    DataError
        If undersampling does not fit the classes, or cells find too few neighbours.
    """
    # Looked at several times, and dear to make.
    made = made.persist(StorageLevel.DISK_ONLY)
    kept = [made]
    columns = ["row_id", "label", *features.names]
    both = reduce(DataFrame.unionByName, [df.select(*[col(name) for name in columns]) for df in (train, made)])
    counted = {classes[row["label"]]: row["count"] for row in both.groupBy("label").count().collect()}
    counts = {name: counted[name] for name in classes if name in counted}
    keep = rows_to_keep(counts, config.undersampling_strategy)
    stays = is_kept(both, {classes.index(name): n_rows for name, n_rows in keep.items()}, random_state)
    left = sum(counts.values()) - sum(counts[name] - n_rows for name, n_rows in keep.items())
    surplus = train.where(~stays).select("row_id", "label", F.lit("undersampled").alias("reason"))
    if config.cleaning == "none":
        return Reduced(made=made.where(stays), removed=surplus, measures={}, kept=tuple(kept))
    search = NeighborSearch.among(left, features, config.max_exact_bytes)
    k = 1 if config.cleaning == "tomek" else config.enn_neighbors
    around, fit = neighborhoods(both.where(stays), search, features, k, config.min_recall, random_state)
    unclean = _unclean(around, config.cleaning).persist(StorageLevel.DISK_ONLY)
    kept.append(unclean)
    cleaned = train.where(stays).join(unclean, "row_id", "left_semi")
    return Reduced(
        made=made.where(stays).join(unclean, "row_id", "left_anti"),
        removed=surplus.union(cleaned.select("row_id", "label", F.lit(config.cleaning).alias("reason"))),
        measures={"cleaning": search.measures(fit)},
        kept=tuple(kept),
    )


def _unclean(around: DataFrame, cleaning: Literal["tomek", "enn"]) -> DataFrame:
    """row_id of the rows to take out, by what `neighborhoods` says of all rows."""
    if cleaning == "enn":
        return around.where("n_others > 0").select("row_id")
    border = around.where("label != near_label").select("row_id", "near_row_id")
    one, other = border.alias("one"), border.alias("other")
    mutual = (F.col("one.row_id") == F.col("other.near_row_id")) & (F.col("one.near_row_id") == F.col("other.row_id"))
    return one.join(other, mutual).select(F.col("one.row_id").alias("row_id"))

"""MLlib's random forest as a judge whose trees do not depend on how its rows are partitioned.

MLlib cuts each numeric column into `max_bins` bins at quantiles of its own sample. Where most rows share one value (no
fraud seen at the terminal) hardly a cut is left for the values that matter. So the columns are cut here first, at
quantiles of all rows, of the positive rows and of the distinct values, and MLlib is given the numbers of bins.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyspark.ml.classification import RandomForestClassificationModel, RandomForestClassifier
from pyspark.ml.feature import Bucketizer
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from raresmith.config import EvaluateConfig
from raresmith.encoding.encoder import CategoricalFeature, Encoder
from raresmith.evaluation.metrics import SCORE_STEPS

ROWS_PER_PARTITION = 100_000
"""Train rows of one task, in the middle; from the table's size alone, never from the cluster's."""
SAMPLE_CELLS = 8_000_000
"""Numbers that are brought to the driver to place the cuts (64 MB), at most and for each of the two samples."""
NODE_MEMORY_MB = 512
"""MLlib's maxMemoryInMB: enough for a level of all trees in one pass; its default of 256 makes two and more."""
WEIGHT_STEPS = 2**16
"""Weights are whole numbers of 1 / WEIGHT_STEPS, so that their sums are exact in any order."""

FEATURES, WEIGHT = "x", "weight"


@dataclass(frozen=True, kw_only=True)
class Bins:
    """For each feature column its cuts, ascending; a value equal to a cut lies above it."""

    cuts: Mapping[str, tuple[float, ...]]


def fit_bins(train: DataFrame, encoder: Encoder, positive: int, max_bins: int, random_state: int) -> Bins:
    """Cuts of every column that MLlib takes as a number, from hash samples of the train rows.

    Parameters
    ----------
    train : real train rows with row_id, label and the feature columns.
    positive : label of the positive class, whose rows are sampled apart.
    """
    names = [feature.name for feature in encoder.features if feature.kind == "numeric" or _arity(feature) > max_bins]
    if not names:
        return Bins(cuts={})
    # Ordered by hash rather than sampled by fraction: bounded whatever the table's size, and always the same rows.
    order = [F.xxhash64("row_id", F.lit(random_state)), F.col("row_id")]
    limit = max(10_000, SAMPLE_CELLS // len(names))
    rows, positives = (
        df.orderBy(*order).limit(limit).select(*names).toArrow()
        for df in (train, train.where(F.col("label") == positive))
    )
    return Bins(
        cuts={
            name: place_cuts(
                rows.column(name).to_numpy().astype(np.float64),
                positives.column(name).to_numpy().astype(np.float64),
                max_bins,
            )
            for name in names
        }
    )


def place_cuts(values: NDArray[np.float64], positives: NDArray[np.float64], max_bins: int) -> tuple[float, ...]:
    """At most `max_bins` - 1 cuts, each in the middle between two neighbouring values.

    All of them where there are few values; else half at quantiles of the rows, a quarter at those of the positive rows
    and all that is left (many quantiles may be one value) at those of the distinct values.
    """
    distinct = np.unique(np.concatenate([values, positives]))
    middles = (distinct[1:] + distinct[:-1]) / 2
    if len(middles) < max_bins:
        return tuple(middles.tolist())
    n_cuts = max_bins - 1
    chosen = _cuts_at_quantiles(values, distinct, (n_cuts + 1) // 2)
    chosen |= _cuts_at_quantiles(positives, distinct, n_cuts // 4)
    chosen |= _cuts_at_quantiles(distinct, distinct, n_cuts - len(chosen))
    return tuple(middles[sorted(chosen)].tolist())


def _cuts_at_quantiles(values: NDArray[np.float64], distinct: NDArray[np.float64], n: int) -> set[int]:
    """Places in `distinct` of at most `n` even quantiles of `values`; the last place has no cut above it."""
    if n == 0 or len(values) == 0:
        return set()
    quantiles = np.quantile(values, (np.arange(n) + 0.5) / n, method="inverted_cdf")
    return set(np.searchsorted(distinct, quantiles).tolist()) - {len(distinct) - 1}


def with_vectors(df: DataFrame, encoder: Encoder, bins: Bins) -> DataFrame:
    """`df` with its feature columns replaced by one vector `x` of bin numbers and category codes, named and typed.

    Columns without cuts are nominal: MLlib splits them by sets of categories. A categorical column with more than
    max_bins codes cannot be, so `fit_bins` cut it like a number.
    """
    cut = {name: cuts for name, cuts in bins.cuts.items() if cuts}
    binned = {name: f"__bin_{name}" for name in cut}
    vectors = df
    if cut:
        vectors = Bucketizer(
            splitsArray=[[-math.inf, *cuts, math.inf] for cuts in cut.values()],
            inputCols=list(cut),
            outputCols=list(binned.values()),
        ).transform(df)
    values, numeric, nominal = [], [], []
    for index, feature in enumerate(encoder.features):
        name = feature.name
        if feature.kind == "categorical" and name not in bins.cuts:
            values.append(F.col(name).cast("double"))
            nominal.append({"idx": index, "name": name, "num_vals": _arity(feature)})
        else:
            # A column that is constant in train has no cuts and nothing to split.
            values.append(F.col(binned[name]) if name in cut else F.lit(0.0))
            numeric.append({"idx": index, "name": name})
    # Metadata cannot hold an empty list of attributes.
    groups = {kind: found for kind, found in (("numeric", numeric), ("nominal", nominal)) if found}
    attributes = {"attrs": groups, "num_attrs": len(values)}
    kept = [column for column in df.columns if column not in set(encoder.names)]
    return vectors.select(*kept, array_to_vector(F.array(*values)).alias(FEATURES, metadata={"ml_attr": attributes}))


def in_fixed_order(df: DataFrame, n_rows: int) -> DataFrame:
    """`df` in partitions and an order that follow from its rows alone, by `row_id`.

    MLlib draws each tree's rows by partition number and position. Adaptive execution leaves a repartition by number as
    it is.
    """
    partitions = max(2, math.ceil(n_rows / ROWS_PER_PARTITION))
    return df.repartition(partitions, "row_id").sortWithinPartitions("row_id")


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


def train_forest(
    train: DataFrame, encoder: Encoder, config: EvaluateConfig, seed: int
) -> RandomForestClassificationModel:
    """A forest trained on the vectors `x`, labels and weights of `train`, which `in_fixed_order` has put in order.

    Persist `train` before: every level of the trees is a pass over it.
    """
    classes = {"type": "nominal", "vals": list(encoder.label.classes)}
    # The number of classes from metadata saves MLlib a pass, and holds where train lacks the last class.
    labelled = train.select(
        FEATURES, WEIGHT, F.col("label").cast("double").alias("label", metadata={"ml_attr": classes})
    )
    forest = RandomForestClassifier(
        featuresCol=FEATURES,
        labelCol="label",
        weightCol=WEIGHT,
        numTrees=config.num_trees,
        maxDepth=config.max_depth,
        maxBins=config.max_bins,
        minInstancesPerNode=config.min_instances_per_node,
        subsamplingRate=config.subsampling_rate,
        featureSubsetStrategy=config.feature_subset_strategy,
        seed=seed,
        maxMemoryInMB=NODE_MEMORY_MB,
        # Else each pass walks every row down every tree from the root.
        cacheNodeIds=True,
    )
    model: RandomForestClassificationModel = forest.fit(labelled)
    return model


def with_score(df: DataFrame, model: RandomForestClassificationModel, positive: int, name: str) -> DataFrame:
    """`df`, which holds `x`, with the column `name`: the probability of class `positive` in millionths, a bigint."""
    probability = f"__probability_{name}"
    scored = model.copy().setRawPredictionCol("").setPredictionCol("").setProbabilityCol(probability).transform(df)
    millionths = F.floor(vector_to_array(F.col(probability))[positive] * SCORE_STEPS + 0.5)
    return scored.withColumn(name, millionths).drop(probability)


def importances(model: RandomForestClassificationModel, encoder: Encoder) -> dict[str, float]:
    """Share of each feature column in the fall of impurity, summing to 1, the greatest first."""
    shares = zip(encoder.names, model.featureImportances.toArray().tolist(), strict=True)
    return dict(sorted(shares, key=lambda item: (-item[1], item[0])))


def _arity(feature: CategoricalFeature) -> int:
    """Codes of the column: the categories, unseen and null."""
    return len(feature.categories) + 2

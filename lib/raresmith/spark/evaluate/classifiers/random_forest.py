"""A random forest as a judge whose trees do not depend on how its rows are partitioned."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Gt, Le
from pydantic import StringConstraints

from raresmith.spark.evaluate.classifiers.base import FEATURES, WEIGHT, Classifier, InTask

if TYPE_CHECKING:
    from pyspark.ml.classification import RandomForestClassificationModel
    from pyspark.sql import DataFrame

    from raresmith.encoding.encoder import Encoder

_LOG = logging.getLogger(__name__)
NODE_MEMORY_MB = 512
"""MLlib's maxMemoryInMB: enough for a level of all trees in one pass; its default of 256 makes two and more."""

MOST_BINS = 2**16
"""Of all columns: MLlib sends all cuts to every task of every level of the trees."""

TASK_CELLS = 2**24
"""Rows times columns of a table up to which a task grows a forest: a Python worker holds some 300 MB then."""

# Measured on the Fraud Detection Handbook's weeks (docs/results.md): 67,240 train and 58,264 test rows.
BINNING = (
    "MLlib's forest cuts each number into bins before it grows a tree. Left to itself that costs a lot where most rows "
    "share one value: on the Fraud Detection Handbook's test week, 128 bins of MLlib's own reach an average precision "
    "of 0.58 (256 bins 0.63), scikit-learn's exact splits 0.66. raresmith places the cuts itself, at quantiles of the "
    "rows, of the positive rows and of the distinct values, and reaches 0.67 there with 128: no cost of the binning is "
    "left that could be measured. All strategies share the same cuts, which come from the real train rows."
)


IN_TASK = (
    "The rows that a forest learns from and scores fit in one task of Spark, so that each forest was grown in one, by "
    "raresmith's own code: on the same bins and by the same rules as Spark MLlib. For two classes a tree of all rows "
    "equals MLlib's, and forests differ as two seeds of MLlib's do. "
    'evaluate.classifiers.random_forest.engine = "mllib" has MLlib judge these rows as well.'
)


class RandomForest(Classifier):
    """A random forest on bins that raresmith cuts: Spark MLlib's, or where one task is enough its like, far quicker."""

    name = "random_forest"
    title = "random forest of Spark MLlib"
    noun = "forest"

    @dataclass(frozen=True, kw_only=True)
    class Parameters(Classifier.Parameters):
        """`[evaluate.classifiers.random_forest]`: how the trees grow."""

        num_trees: Annotated[int, Ge(1), Le(10_000)] = 100
        """Trees of a forest; at least 1."""
        max_depth: Annotated[int, Ge(1), Le(30)] = 15
        """Depth of a tree; 1 to 30."""
        max_bins: Annotated[int, Ge(2), Le(2**16)] = 128
        """Bins that a numeric column is cut into; at least 2. Above 512 columns fewer, so that all have 65,536 bins
        together. Categories of a column with more of them (and two codes for unseen and null) are split in their order
        instead of by sets."""
        min_instances_per_node: Annotated[int, Ge(1), Le(2**31 - 1)] = 1
        """Fewest rows of a leaf; at least 1."""
        subsampling_rate: Annotated[float, Gt(0), Le(1)] = 1.0
        """Share of the rows that a tree sees; in (0, 1]."""
        feature_subset_strategy: Annotated[
            str, StringConstraints(pattern=r"^(auto|all|sqrt|log2|onethird|[1-9]\d*|0?\.\d*[1-9]\d*|1\.0)$")
        ] = "auto"
        """Columns that a split may look at, as MLlib names them: auto, all, sqrt, log2, onethird, a number of them, or
        a share in (0, 1.0]."""
        engine: Literal["auto", "mllib"] = "auto"
        """What grows the forests. auto: each grows in a task of its own where the rows that it learns from and scores
        times the columns are at most 16,777,216 (a million rows of 16 columns, 8,000 of 2,000); beyond, and with
        "mllib" always, Spark MLlib grows one after the other on the whole cluster."""

    parameters: Parameters

    def vectors(
        self, train: DataFrame, encoder: Encoder, positive: int, random_state: int
    ) -> Callable[[DataFrame], DataFrame]:
        """Bin numbers and category codes."""
        from raresmith.spark.evaluate.bins import bin_vectors

        return bin_vectors(train, encoder, positive, self.bins(encoder), random_state)

    def bins(self, encoder: Encoder) -> int:
        """Of a column, at most."""
        return max(2, min(self.parameters.max_bins, MOST_BINS // len(encoder.features)))

    def fit(self, train: DataFrame, encoder: Encoder, seed: int) -> RandomForestClassificationModel:
        """The forest."""
        from pyspark.ml.classification import RandomForestClassifier

        from raresmith.spark.evaluate.train_rows import with_classes

        of = self.parameters
        forest = RandomForestClassifier(
            featuresCol=FEATURES,
            labelCol="label",
            weightCol=WEIGHT,
            numTrees=of.num_trees,
            maxDepth=of.max_depth,
            maxBins=self.bins(encoder),
            minInstancesPerNode=of.min_instances_per_node,
            subsamplingRate=of.subsampling_rate,
            featureSubsetStrategy=of.feature_subset_strategy,
            seed=seed,
            maxMemoryInMB=NODE_MEMORY_MB,
            # Else each pass walks every row down every tree from the root.
            cacheNodeIds=True,
        )
        model: RandomForestClassificationModel = forest.fit(with_classes(train, encoder))
        return model

    def in_task(self, n_rows: int, encoder: Encoder, positive: int) -> InTask | None:
        """The same forest, grown in one process; None also where Numba does not run."""
        of, n_columns = self.parameters, len(encoder.features)
        if of.engine == "mllib" or n_rows * n_columns > TASK_CELLS:
            return None
        try:
            from raresmith.evaluation import tree  # noqa: F401
        except (ImportError, OSError, RuntimeError) as error:
            _LOG.warning("Numba does not run here (%s), so Spark MLlib grows the forests, which takes longer", error)
            return None
        from raresmith.evaluation.cuts import arities
        from raresmith.evaluation.forest import Forest, columns_of_a_split

        forest = Forest(
            num_trees=of.num_trees,
            max_depth=of.max_depth,
            max_bins=self.bins(encoder),
            min_instances_per_node=of.min_instances_per_node,
            subsampling_rate=of.subsampling_rate,
            columns_of_a_split=columns_of_a_split(of.feature_subset_strategy, n_columns, of.num_trees),
            arities=arities(encoder, self.bins(encoder)),
            positive=positive,
        )
        return InTask(
            model=forest,
            title="random forest by the rules of Spark MLlib",
            remarks=(BINNING, IN_TASK),
        )

    def importances(self, model: RandomForestClassificationModel, encoder: Encoder) -> Mapping[str, float]:
        """Mean decrease in impurity of each feature column, summing to 1 (Breiman 2001)."""
        return dict(zip(encoder.names, model.featureImportances.toArray().tolist(), strict=True))

    def size(self) -> str:
        """Trees and depth."""
        return f"{self.parameters.num_trees} trees, depth {self.parameters.max_depth}"

    def settings(self) -> str:
        """The bins, because they bound what a tree can tell apart."""
        return f"at most {self.parameters.max_bins} bins a column"

    def remarks(self) -> tuple[str, ...]:
        """What the bins cost."""
        return (BINNING,)

"""Vectors of bin numbers for the trees of Spark MLlib.

MLlib cuts each numeric column into `max_bins` bins at quantiles of its own sample. Where most rows share one value (no
fraud seen at the terminal) hardly a cut is left for the values that matter. So the columns are cut here first, at
quantiles of all rows, of the positive rows and of the distinct values, and MLlib is given the numbers of bins.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from pyspark.ml.feature import Bucketizer
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from raresmith.encoding.encoder import Encoder
from raresmith.evaluation.cuts import arities, place_cuts
from raresmith.spark.evaluate.classifiers.base import FEATURES

SAMPLE_CELLS = 8_000_000
"""Numbers that are brought to the driver to place the cuts (64 MB), at most and for each of the two samples."""


@dataclass(frozen=True, kw_only=True)
class Bins:
    """For each feature column its cuts, ascending; a value equal to a cut lies above it."""

    cuts: Mapping[str, tuple[float, ...]]


def bin_vectors(
    train: DataFrame, encoder: Encoder, positive: int, max_bins: int, random_state: int
) -> Callable[[DataFrame], DataFrame]:
    """What adds the vector of bin numbers to a table, cut by the real train rows `train`; see `with_vectors`."""
    return partial(with_vectors, encoder=encoder, bins=fit_bins(train, encoder, positive, max_bins, random_state))


def fit_bins(train: DataFrame, encoder: Encoder, positive: int, max_bins: int, random_state: int) -> Bins:
    """Cuts of every column that MLlib takes as a number, from hash samples of the train rows.

    Parameters
    ----------
    train : real train rows with row_id, label and the feature columns.
    positive : label of the positive class, whose rows are sampled apart.
    """
    names = [name for name, codes in zip(encoder.names, arities(encoder, max_bins), strict=True) if not codes]
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


def with_vectors(df: DataFrame, encoder: Encoder, bins: Bins) -> DataFrame:
    """`df`, which holds the feature columns, with one vector FEATURES of bin numbers and codes, named and typed.

    Columns without cuts are nominal: MLlib splits them by sets of categories. A categorical column with more than
    max_bins codes cannot be, so `fit_bins` cut it like a number.
    """
    cut = {name: cuts for name, cuts in bins.cuts.items() if cuts}
    binned = {name: f"__bin_{name}" for name in cut}
    vectors = df
    if cut:
        bucketizer = Bucketizer(inputCols=list(cut), outputCols=list(binned.values()))
        # As one text: pyspark would make a call to the JVM for each of the cuts.
        java: Any = bucketizer._java_obj
        splits = java.getParam("splitsArray")
        java.set(splits, splits.jsonDecode(json.dumps([["-Inf", *cuts, "Inf"] for cuts in cut.values()])))
        vectors = bucketizer.transform(df)
    values, numeric, nominal = [], [], []
    for index, feature in enumerate(encoder.features):
        name = feature.name
        if feature.kind == "categorical" and name not in bins.cuts:
            values.append(F.col(name).cast("double"))
            nominal.append({"idx": index, "name": name, "num_vals": feature.n_codes})
        else:
            # A column that is constant in train has no cuts and nothing to split.
            values.append(F.col(binned[name]) if name in cut else F.lit(0.0))
            numeric.append({"idx": index, "name": name})
    # Metadata cannot hold an empty list of attributes.
    groups = {kind: found for kind, found in (("numeric", numeric), ("nominal", nominal)) if found}
    attributes = {"attrs": groups, "num_attrs": len(values)}
    return vectors.select(
        *df.columns, array_to_vector(F.array(*values)).alias(FEATURES, metadata={"ml_attr": attributes})
    )

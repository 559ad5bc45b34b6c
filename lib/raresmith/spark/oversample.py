"""Made rows of the train split, in parallel with the true nearest neighbours of the whole class, or nearly all of them.

Minority rows are few: as long as they fit, each executor gets all of a class's rows, and each task makes its share of
the rows. A larger class stays where it is and is sent to spatial cells. A made row does not depend on the task that
makes it.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark import Broadcast
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from raresmith.cells import SEND_SECONDS, Fit
from raresmith.config import OversampleConfig
from raresmith.encoder import Encoder
from raresmith.errors import DataError
from raresmith.sampling_strategy import rows_to_make
from raresmith.smote import Smote, fit_cells, in_cells, smote, usable_neighbors
from raresmith.spark.cells import ClassRows
from raresmith.spark.class_rows import arrays, feature_dtype, selected
from raresmith.spark.made_rows import made_batches, made_schema
from raresmith.spark.nearest import features_of, nearest_in_table
from raresmith.spark.tables import col
from raresmith.surroundings import SURROUNDED, surrounded


@dataclass(frozen=True, kw_only=True)
class Oversampled:
    """What oversampling gives."""

    rows: DataFrame
    """The `synthetic` table."""
    measures: dict[str, Any]
    """Of each class with made rows: where its neighbours were looked for, and which share of the true ones is found."""


def oversample(
    features: DataFrame, encoder: Encoder, config: OversampleConfig, random_state: int, run_id: str
) -> Oversampled:
    """Rows made from the train rows of `features`; they are the same however these are partitioned.

    Raises
    ------
    DataError
        If the strategy does not fit the classes, a class has too few rows, or more than `oversample.max_exact_bytes`
        where exact neighbours are asked for, cells find too few neighbours, a row_id comes twice, or a feature is
        null, NaN, infinite or beyond 1e150.
    """
    train = features.where(col("split") == "train")
    counts = {encoder.label.classes[row["label"]]: row["count"] for row in train.groupBy("label").count().collect()}
    # Ties between classes are decided by their order, which a shuffle does not keep.
    counts = {name: counts[name] for name in encoder.label.classes if name in counts}
    wanted = {name: n for name, n in rows_to_make(counts, config.sampling_strategy).items() if n > 0}
    neighbors = {
        name: usable_neighbors(counts[name], config.k_neighbors, config.on_few_neighbors, name) for name in wanted
    }
    for name in wanted:
        _check_bytes(name, counts[name], encoder, config)
    parts = [train.sparkSession.createDataFrame([], made_schema(encoder)).withColumn("label", F.lit(0))]
    measures = {}
    for name, n_to_make in wanted.items():
        label = encoder.label.classes.index(name)
        of_class = train.where(col("label") == label)
        if class_bytes(counts[name], encoder) <= config.max_exact_bytes:
            others = train.where(col("label") != label)
            made, fit = _made_from_memory(
                of_class, others, encoder, config, n_to_make, neighbors[name], random_state, name
            )
        else:
            class_rows = ClassRows(of_class, encoder, name, counts[name], random_state)
            made, fit = _made_cell_by_cell(class_rows, encoder, config, n_to_make, neighbors[name], random_state, name)
        parts.append(made.withColumn("label", F.lit(label)))
        measures[name] = {"neighbors": "exact", "recall": 1.0} if fit is None else _measures(config, fit)
    # The empty first part is there for its schema only.
    united = reduce(DataFrame.union, parts[1:] or parts)
    rows = united.select(
        "row_id",
        "base_row_id",
        "neighbor_row_id",
        "gap",
        F.lit(config.method).alias("method"),
        "label",
        F.lit(run_id).alias("run_id"),
        *[col(name) for name in encoder.names],
    )
    return Oversampled(rows=rows, measures=measures)


def column_groups(encoder: Encoder) -> np.ndarray:
    """The group of each feature: a number and the indicator of its nulls belong together, the others stand alone."""
    sources = {f.null_indicator: f.name for f in encoder.features if f.kind == "numeric" and f.null_indicator}
    leaders = [sources.get(name, name) for name in encoder.names]
    numbers = {name: i for i, name in enumerate(dict.fromkeys(leaders))}
    return np.array([numbers[name] for name in leaders])


def class_bytes(n_rows: int, encoder: Encoder) -> int:
    """Bytes that `n_rows` rows of a class and their row ids take in each executor's Python workers."""
    return n_rows * (8 + len(encoder.features) * int(feature_dtype(encoder).itemsize))


def _measures(config: OversampleConfig, fit: Fit) -> dict[str, Any]:
    return {"neighbors": "partition" if config.neighbors == "partition" else "cells", **fit.measures()}


def _check_bytes(name: str, n_rows: int, encoder: Encoder, config: OversampleConfig) -> None:
    needed = class_bytes(n_rows, encoder)
    if needed <= config.max_exact_bytes:
        return
    if config.method in SURROUNDED:
        raise DataError(
            f"class {name!r} has {n_rows} train rows of {len(encoder.features)} features, {needed} bytes, but "
            f"oversample.max_exact_bytes is {config.max_exact_bytes}, and {config.method} takes only classes that "
            'every executor has room for; raise it, or set oversample.method = "smote"'
        )
    if config.neighbors == "exact":
        raise DataError(
            f"class {name!r} has {n_rows} train rows of {len(encoder.features)} features, {needed} bytes, but "
            f"oversample.max_exact_bytes is {config.max_exact_bytes}; raise it if every executor has three times that "
            'much memory for each of its cores, or set oversample.neighbors = "cells"'
        )


def _collected(rows: DataFrame, encoder: Encoder, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Row ids, ascending, and features of shape (n_features, n_rows) of one class."""
    row_ids, columns = arrays(selected(rows, encoder).toArrow(), feature_dtype(encoder), encoder.names, name)
    order = np.argsort(row_ids, kind="stable")
    row_ids = row_ids[order]
    if (twice := np.flatnonzero(np.diff(row_ids) == 0)).size:
        raise DataError(f"row_id {row_ids[twice[0]]} comes twice among the train rows; run prepare again")
    for column in columns:
        column[:] = column[order]
    return row_ids, columns


class _OtherClasses:
    """The train rows that are not of the class called `name`."""

    def __init__(self, rows: DataFrame, encoder: Encoder, name: str) -> None:
        self._rows = selected(rows, encoder)
        dtype, names = feature_dtype(encoder), list(encoder.names)
        self._arrays = lambda table: arrays(table, dtype, names, f"other than {name}")

    def nearest(self, plan: Smote, n: int, within: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        queries = plan.row_ids, plan.columns
        return nearest_in_table(self._rows, self._arrays, queries, n, plan.is_categorical, plan.category_weight, within)

    def rows(self, row_ids: np.ndarray) -> np.ndarray:
        return features_of(self._rows, self._arrays, row_ids)


def _made_from_memory(
    rows: DataFrame,
    others_rows: DataFrame,
    encoder: Encoder,
    config: OversampleConfig,
    n_to_make: int,
    k_neighbors: int,
    random_state: int,
    name: str,
) -> tuple[DataFrame, Fit | None]:
    plan = smote(
        *_collected(rows, encoder, name),
        np.array(encoder.categorical),
        n_to_make,
        k_neighbors,
        random_state,
        config.method,
        column_groups(encoder),
    )
    if config.method in SURROUNDED:
        others = _OtherClasses(others_rows, encoder, name)
        threads = len(os.sched_getaffinity(0))
        plan = surrounded(plan, config.method, n_to_make, config.m_neighbors, others, name, threads)
        n_to_make = plan.n_to_make
    fit = None
    if config.neighbors in ("cells", "partition"):
        plan, fit = in_cells(plan, config.neighbors, config.min_recall, name)
    context = rows.sparkSession.sparkContext
    # Made rows are numbered base by base, so a run of numbers is a slice of the bases. To share out the numbers and
    # not the bases keeps the tasks even where a few bases have many copies.
    tasks = min(config.num_partitions or context.defaultParallelism, n_to_make)
    schema = made_schema(encoder)
    make = _maker(context.broadcast(plan), n_to_make, tasks, to_arrow_schema(schema))
    return rows.sparkSession.range(0, tasks, 1, tasks).mapInArrow(make, schema), fit


def _maker(
    plan: Broadcast[Smote], n_to_make: int, tasks: int, schema: pa.Schema
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch.column(0).to_pylist():
                numbers = np.arange(n_to_make * task // tasks, n_to_make * (task + 1) // tasks)
                yield from made_batches(plan.value, numbers, schema)

    return make


def _made_cell_by_cell(
    rows: ClassRows,
    encoder: Encoder,
    config: OversampleConfig,
    n_to_make: int,
    k_neighbors: int,
    random_state: int,
    name: str,
) -> tuple[DataFrame, Fit]:
    sample = rows.sample()
    # All that is learnt of the class is learnt from the sample.
    learnt = smote(
        *sample,
        np.array(encoder.categorical),
        0,
        k_neighbors,
        random_state,
        config.method,
        column_groups(encoder),
    )
    fit = fit_cells(
        rows.with_neighbors(*sample, k_neighbors, learnt.category_weight),
        rows.n_rows,
        learnt,
        "partition" if config.neighbors == "partition" else "cells",
        config.min_recall,
        name,
        SEND_SECONDS,
    )
    return rows.made(fit.cells, learnt, n_to_make), fit

"""Rows of an oversampler that sees the rows of all classes, cell by cell of the whole train split.

The table is looked at for a sample, from which the cells come, and once more to send its rows to them; the class alone
for its rows around each centre and for the bases that get one copy more than the others. What comes back to the driver
is the sample and one number a centre.
"""

from collections.abc import Iterator
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StringType, StructType

from raresmith.errors import DataError
from raresmith.neighbors.cells import SAMPLE_PER_CELL, fit_centers, home
from raresmith.neighbors.distance import Distance
from raresmith.neighbors.regions import Regions, fit_regions
from raresmith.neighbors.search import Candidates
from raresmith.oversampling.base import CellOversampler, CellRows
from raresmith.spark.columns import col
from raresmith.spark.neighbors.arrow_batches import METHOD, made_batch, made_schema, slices
from raresmith.spark.neighbors.cell_exchange import SENT, ClassRows, n_tasks, received
from raresmith.spark.neighbors.feature_matrix import FeatureColumns, packed

Batches = Iterator[pa.RecordBatch]


def rows_of_cells(
    train: DataFrame,
    features: FeatureColumns,
    classes: tuple[str, ...],
    counts: dict[str, int],
    wanted: dict[str, int],
    oversampler: CellOversampler,
    random_state: int,
) -> tuple[DataFrame, dict[str, Any]]:
    """Made rows with METHOD and label, and of each class the cells that they were made in.

    Parameters
    ----------
    train : DataFrame with row_id, label and the features
    counts, wanted
        Rows there are, and rows to make, of each class.

    Raises
    ------
    DataError
        As `Oversampler.usable_neighbors` does, or if a row_id comes twice.
    """
    for name in wanted:
        oversampler.usable_neighbors(counts[name], name)
    empty = train.sparkSession.createDataFrame([], _schema(features)).withColumn("label", F.lit(0))
    if not wanted:
        return empty, {}
    source = _Train(train, features, sum(counts.values()), oversampler, random_state)
    parts, measures = [], {}
    for name, n_to_make in wanted.items():
        label = classes.index(name)
        of_class = source.of_class(name, label, counts[name])
        regions = source.regions(of_class)
        made = source.made(regions, of_class, label, n_to_make)
        parts.append(made.withColumn("label", F.lit(label)))
        measures[name] = {
            **oversampler.measures(),
            "cells": len(regions),
            "largest_cell": regions.largest,
            "kept_of_others": round(regions.kept_of_others, 4),
        }
    return reduce(DataFrame.union, parts), measures


def _schema(features: FeatureColumns) -> StructType:
    return made_schema(features).add(METHOD, StringType(), False)


class _Train:
    """The train rows of all classes."""

    def __init__(
        self,
        train: DataFrame,
        features: FeatureColumns,
        n_rows: int,
        oversampler: CellOversampler,
        random_state: int,
    ) -> None:
        self._train, self._features, self._oversampler = train, features, oversampler
        self._random_state, self._cell_rows = random_state, int(oversampler.parameters.cell_rows)
        self._context = train.sparkSession.sparkContext
        self._n_rows = n_rows
        self._centers, self._distance, self._sizes = self._fitted()

    def of_class(self, name: str, label: int, n_rows: int) -> ClassRows:
        """Those of one class."""
        rows = self._train.where(col("label") == label)
        return ClassRows(rows, self._features.of_class(name), n_rows, self._random_state)

    def regions(self, of_class: ClassRows) -> Regions:
        """The cells that rows of a class are made in."""
        own = np.array([of_class.n_rows])
        if len(self._sizes) > 1:
            own = self._around_centers(of_class)
        return fit_regions(
            self._centers,
            self._distance,
            own,
            np.maximum(self._sizes - own, 0),
            self._oversampler.fewest_rows,
            self._cell_rows,
            self._random_state,
        )

    def made(self, regions: Regions, of_class: ClassRows, label: int, n_to_make: int) -> DataFrame:
        """The made rows of a class."""
        features, oversampler, random_state = self._features, self._oversampler, self._random_state
        schema, made_fields = to_arrow_schema(_schema(features)), to_arrow_schema(made_schema(features))
        copies_of = of_class.copies(n_to_make)
        sent_regions = self._context.broadcast(regions)

        def send(batches: Batches) -> Batches:
            for batch in batches:
                row_ids, columns = features.arrays(batch)
                labels = batch.column("label")
                cells = sent_regions.value.of(row_ids, columns, labels.to_numpy() == label)
                yield pa.RecordBatch.from_arrays(
                    [
                        pa.array(cells.astype(np.int32)),
                        batch.column("is_base"),
                        labels,
                        batch.column(0),
                        packed(columns),
                    ],
                    ["cell", "of_base", "label", "row_id", "row"],
                ).filter(pa.array(cells >= 0))

        def make(batches: Batches) -> Batches:
            there = received(batches, features)
            cell = CellRows(row_ids=there.row_ids, labels=there.labels, columns=there.columns)
            own = cell.row_ids[cell.labels == label]
            if (twice := np.flatnonzero(np.diff(own) == 0)).size:
                raise DataError("row_id {row_id} comes twice; give each row an id of its own", row_id=own[twice[0]])
            n_here = int(copies_of(own).sum())
            for made, method in oversampler.made_in_cell(cell, label, n_here, features.features, random_state):
                batch = made_batch(made, made_fields)
                by = pa.array([method] * batch.num_rows)
                whole = pa.RecordBatch.from_arrays([*batch.columns, by], schema=schema)
                for few in slices(np.arange(batch.num_rows), schema):
                    yield whole.slice(int(few[0]), len(few))

        sent = features.of_rows(self._train).mapInArrow(send, SENT)
        return (
            sent.repartition(n_tasks(regions, self._context), "cell")
            .groupBy("cell")
            .applyInArrow(make, _schema(features))
        )

    def _fitted(self) -> tuple[NDArray[Any], Distance, NDArray[Any]]:
        """Centres, the distance, and about how many rows are nearest to each centre."""
        is_categorical = np.array(self._features.categorical)
        if self._n_rows <= self._cell_rows:
            here = np.zeros((len(is_categorical), 1), self._features.dtype)
            return here, Distance(is_categorical), np.array([float(self._n_rows)])
        rows = ClassRows(self._train, self._features, self._n_rows, self._random_state)
        row_ids, columns = rows.sample()
        distance = self._features.distance(columns)
        wanted = max(1, min(round(self._n_rows / self._cell_rows), len(row_ids) // SAMPLE_PER_CELL))
        centers, sizes = fit_centers(row_ids, columns, distance, wanted, 1, self._random_state)
        return centers, distance, sizes * (self._n_rows / len(row_ids))

    def _around_centers(self, of_class: ClassRows) -> NDArray[np.int64]:
        """Rows of a class that are nearest to each centre."""
        features = of_class.features
        sent = self._context.broadcast((self._centers, self._distance))

        def count(batches: Batches) -> Batches:
            centers = Candidates(*sent.value)
            for batch in batches:
                found, rows = np.unique(home(centers, features.arrays(batch)[1]), return_counts=True)
                yield pa.RecordBatch.from_arrays([pa.array(found), pa.array(rows)], ["center", "rows"])

        counted = (
            of_class.rows.mapInArrow(count, "center bigint, rows bigint")
            .groupBy("center")
            .agg(F.sum("rows").alias("rows"))
        )
        center, n_rows = (column.to_numpy() for column in counted.toArrow().columns)
        return np.bincount(center, weights=n_rows, minlength=len(self._sizes)).astype(np.int64)

"""Rows of a class held cell by cell while other rows stream past, so that a task holds one cell, whatever passes."""

from collections.abc import Iterator
from itertools import chain, groupby
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from raresmith.neighbors.cells import Cells
from raresmith.spark.neighbors.cell_exchange import Batches, n_tasks
from raresmith.spark.neighbors.feature_matrix import Arrays, FeatureColumns, unpacked


def own_rows_first(sent: DataFrame, cells: Cells, label: int) -> DataFrame:
    """Rows as by `sent_to_cells`, cell after cell in a task, those of the class `label` before the others."""
    tasks = n_tasks(cells, sent.sparkSession.sparkContext)
    return sent.repartition(tasks, "cell").sortWithinPartitions("cell", F.col("label") != label)


def by_cell(batches: Batches, label: int) -> Iterator[tuple[list[pa.RecordBatch], Iterator[pa.RecordBatch]]]:
    """For each cell of a task of `own_rows_first` the class's rows, and the others, one batch at a time."""
    for _, runs in groupby(_runs(batches, label), key=lambda run: run.cell):
        yield _own_and_others(runs)


def sent_arrays(batch: pa.RecordBatch, features: FeatureColumns) -> Arrays:
    """Row ids and features of rows as by `sent_to_cells`."""
    columns = unpacked(batch.column("row"), len(features.names), features.dtype)
    return batch.column("row_id").to_numpy(), columns


class _Run(NamedTuple):
    """Rows of one cell that follow each other."""

    cell: int
    is_other: bool
    rows: pa.RecordBatch


def _runs(batches: Batches, label: int) -> Iterator[_Run]:
    for batch in batches:
        if not batch.num_rows:
            continue
        cells, is_other = batch.column("cell").to_numpy(), batch.column("label").to_numpy() != label
        changes = np.flatnonzero((np.diff(cells) != 0) | (np.diff(is_other.astype(np.int8)) != 0)) + 1
        for start, end in zip([0, *changes], [*changes, len(cells)], strict=True):
            yield _Run(int(cells[start]), bool(is_other[start]), batch.slice(start, end - start))


def _own_and_others(runs: Iterator[_Run]) -> tuple[list[pa.RecordBatch], Iterator[pa.RecordBatch]]:
    own: list[pa.RecordBatch] = []
    for run in runs:
        if run.is_other:
            return own, chain([run.rows], (later.rows for later in runs))
        own.append(run.rows)
    return own, iter(())

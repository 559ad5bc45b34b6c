"""The nearest rows of every row of a table, of whatever class: in memory as long as they fit, else cell by cell."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from raresmith.neighbors.cells import SEND_SECONDS, Fit, choose_cells
from raresmith.neighbors.search import Candidates
from raresmith.spark.neighbors.cell_exchange import Batches, ClassRows, n_tasks, received, sent_to_cells
from raresmith.spark.neighbors.feature_matrix import FeatureColumns
from raresmith.spark.neighbors.neighbor_search import NeighborSearch

_SCHEMA = "row_id bigint, label int, near_row_id bigint, near_label int, n_others int"


def neighborhoods(
    rows: DataFrame, search: NeighborSearch, features: FeatureColumns, k: int, min_recall: float, random_state: int
) -> tuple[DataFrame, Fit | None]:
    """For each row (row_id, label, features) its nearest row, that one's label, and how many of k are of other classes.

    Returns
    -------
    row_id, label, near_row_id, near_label, n_others; and the cells if neighbours are looked for in these

    Raises
    ------
    DataError
        If no cells find a share `min_recall` of the true neighbours.
    """
    table = ClassRows(rows, features, search.n_rows, random_state)
    if search.where == "exact":
        return _in_memory(table, k), None
    return _cell_by_cell(table, k, min_recall, random_state)


def _in_memory(table: ClassRows, k: int) -> DataFrame:
    context = table.rows.sparkSession.sparkContext
    collected = table.rows.toArrow()
    row_ids, columns, order = table.features.ordered(collected)
    distance = table.features.distance(columns)
    sent = context.broadcast((row_ids, columns, collected.column("label").to_numpy()[order]))
    tasks = min(context.defaultParallelism, len(row_ids))

    def look(batches: Batches) -> Batches:
        row_ids, columns, labels = sent.value
        candidates = Candidates(columns, distance)
        for batch in batches:
            for task in batch.column(0).to_pylist():
                bases = np.arange(len(row_ids) * task // tasks, len(row_ids) * (task + 1) // tasks)
                yield _seen(candidates, bases, row_ids, columns, labels, k)

    return table.rows.sparkSession.range(0, tasks, 1, tasks).mapInArrow(look, _SCHEMA)


def _cell_by_cell(table: ClassRows, k: int, min_recall: float, random_state: int) -> tuple[DataFrame, Fit]:
    context, features = table.rows.sparkSession.sparkContext, table.features
    row_ids, columns = table.sample()
    distance = features.distance(columns)
    sample = table.with_neighbors(row_ids, columns, k, distance)
    fit = choose_cells(sample, table.n_rows, distance, min_recall, random_state, "all", SEND_SECONDS)

    def look(batches: Batches) -> Batches:
        there = received(batches, features)
        bases = np.flatnonzero(there.of_base)
        yield _seen(Candidates(there.columns, distance), bases, there.row_ids, there.columns, there.labels, k)

    sent = sent_to_cells(table.rows, features, context.broadcast(fit.cells))
    return sent.repartition(n_tasks(fit.cells, context), "cell").groupBy("cell").applyInArrow(look, _SCHEMA), fit


def _seen(
    candidates: Candidates,
    bases: NDArray[np.int64],
    row_ids: NDArray[np.int64],
    columns: NDArray[Any],
    labels: NDArray[np.int32],
    k: int,
) -> pa.RecordBatch:
    near, _ = candidates.nearest(columns[:, bases], k, bases)
    there = near >= 0
    n_others = np.count_nonzero(there & (labels[near] != labels[bases][:, None]), axis=1)
    nearest = [pa.array(values[near[:, 0]]) for values in (row_ids, labels)]
    seen = [pa.array(row_ids[bases]), pa.array(labels[bases]), *nearest, pa.array(n_others.astype(np.int32))]
    return pa.RecordBatch.from_arrays(seen, ["row_id", "label", "near_row_id", "near_label", "n_others"])

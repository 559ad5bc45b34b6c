"""The rows of a class where they lie: of a class too large for one machine, and to repeat them.

A large class is sent to spatial cells, and each cell is for one task. The class is looked at four times: for a sample,
for the true neighbours of some sampled rows, for the bases that get one copy more than the others, and to send the
rows. What comes back to the driver is bounded each time.
"""

from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import Broadcast, SparkContext
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import to_arrow_schema

from raresmith.counter_rng import Stream, hash64
from raresmith.neighbors.cells import N_QUERIES, Cells, Sample, sample_size
from raresmith.neighbors.distance import Distance
from raresmith.oversampling.plan import ClassPlan
from raresmith.spark.neighbors.arrow_batches import made_batches, made_schema
from raresmith.spark.neighbors.feature_matrix import Arrays, FeatureColumns, packed, unpacked
from raresmith.spark.neighbors.hash_rank import hash_of_rank
from raresmith.spark.neighbors.table_search import features_of, nearest_in_table

_TASKS_PER_CORE = 4
SENT = "cell int, of_base boolean, label int, row_id bigint, row binary"
"""A row on its way to a cell."""

Batches = Iterator[pa.RecordBatch]


class ClassRows:
    """The train rows of the class that `features` names, in Spark."""

    def __init__(
        self,
        rows: DataFrame,
        features: FeatureColumns,
        n_rows: int,
        random_state: int,
        bases: str = "",
        n_bases: int | None = None,
    ) -> None:
        """`bases` is the SQL condition of the rows that others are made of, `n_bases` how many there are."""
        self.n_rows, self._n_bases = n_rows, n_rows if n_bases is None else n_bases
        self.rows, self.features = features.of_rows(rows, bases), features
        self._random_state = random_state
        self._context = rows.sparkSession.sparkContext

    def sample(self) -> Arrays:
        """Ids, ascending, and features of rows chosen by the hash of their id."""
        size = sample_size(self.n_rows, self.features.row_bytes)
        below = np.uint64(min(2**64 - 1, 2**64 * size // self.n_rows))
        random_state = self._random_state

        def choose(batches: Batches) -> Batches:
            for batch in batches:
                hashes = hash64(random_state, Stream.SAMPLE, batch.column(0).to_numpy())
                yield batch.filter(pa.array(hashes.view(np.uint64) <= below))

        chosen = self.rows.mapInArrow(choose, self.rows.schema).toArrow()
        row_ids, columns, _ = self.features.ordered(chosen)
        return row_ids, columns

    def with_neighbors(
        self,
        row_ids: NDArray[np.int64],
        columns: NDArray[Any],
        k: int,
        distance: Distance,
        table: DataFrame | None = None,
        n: int = 0,
    ) -> Sample:
        """The sample, and for N_QUERIES of its rows the true neighbours: k in the class, and n in a whole table."""
        hashes = hash64(self._random_state, Stream.SAMPLE, row_ids)
        queries = np.sort(np.argsort(hashes.view(np.uint64), kind="stable")[:N_QUERIES])
        asked = row_ids[queries], columns[:, queries]
        near, distances = nearest_in_table(self.rows, self.features, asked, k, distance)
        if table is not None:
            found = nearest_in_table(table, self.features, asked, n, distance)
            near, distances = np.c_[near, found[0]], np.c_[distances, found[1]]
        distinct, place = np.unique(near, return_inverse=True)
        searched = self.rows if table is None else table
        return Sample(
            row_ids=row_ids,
            columns=columns,
            queries=queries,
            near_row_ids=near,
            near_columns=features_of(searched, self.features, distinct)[:, place],
            near_distances=distances,
        )

    def made(self, cells: Cells, plan: ClassPlan, n_to_make: int) -> DataFrame:
        """The made rows; `plan` says how, with none of the class's rows in it."""
        features = self.features
        schema = to_arrow_schema(made_schema(features))
        copies_of = self.copies(n_to_make)
        sent_plan = self._context.broadcast(plan)

        def make(batches: Batches) -> Batches:
            there = received(batches, features)
            copies = np.where(there.of_base, copies_of(there.row_ids), 0)
            in_cell = replace(sent_plan.value, row_ids=there.row_ids, columns=there.columns, copies=copies)
            yield from made_batches(in_cell, np.arange(in_cell.n_to_make), schema)

        sent = sent_to_cells(self.rows, features, self._context.broadcast(cells))
        tasks = n_tasks(cells, self._context)
        return sent.repartition(tasks, "cell").groupBy("cell").applyInArrow(make, made_schema(features))

    def made_in_place(self, plan: ClassPlan, n_to_make: int) -> DataFrame:
        """The made rows, each of its base alone, where this lies; `plan` is as in `made`."""
        features = self.features
        schema = to_arrow_schema(made_schema(features))
        copies_of = self.copies(n_to_make)

        def make(batches: Batches) -> Batches:
            for batch in batches:
                row_ids, columns = features.arrays(batch)
                here = replace(plan, row_ids=row_ids, columns=columns, copies=copies_of(row_ids))
                yield from made_batches(here, np.arange(here.n_to_make), schema)

        return self.rows.where("is_base").mapInArrow(make, made_schema(features))

    def copies(self, n_to_make: int) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
        """How often each row is a base, as `copies_per_base` has it."""
        return even_copies(self.rows.where("is_base"), self._n_bases, n_to_make, self._random_state)


def sent_to_cells(rows: DataFrame, features: FeatureColumns, cells: Broadcast[Cells]) -> DataFrame:
    """The rows, each as often as there are cells that it is a candidate in.

    Columns cell, of_base (whether it is the row's home, and rows are to be made of the row), label, row_id, and row:
    the features as bytes.
    """

    def send(batches: Batches) -> Batches:
        for batch in batches:
            row_ids, columns = features.arrays(batch)
            of_rows = cells.value.of(row_ids, columns)
            packed_rows = packed(columns)
            for nth, cell in enumerate(of_rows.T):
                of_base = batch.column("is_base") if nth == 0 else pa.array(np.zeros(len(row_ids), bool))
                yield pa.RecordBatch.from_arrays(
                    [pa.array(cell.astype(np.int32)), of_base, batch.column("label"), pa.array(row_ids), packed_rows],
                    ["cell", "of_base", "label", "row_id", "row"],
                )

    return rows.mapInArrow(send, SENT)


class Received(NamedTuple):
    """Rows that were sent to a cell."""

    row_ids: NDArray[np.int64]
    """Ascending."""
    columns: NDArray[Any]
    of_base: NDArray[np.bool_]
    labels: NDArray[np.int32]


def received(batches: Iterable[pa.RecordBatch], features: FeatureColumns) -> Received:
    """The rows of the batches."""
    table = pa.Table.from_batches([batch for batch in batches if batch.num_rows])
    parts = [unpacked(part, len(features.names), features.dtype) for part in table.column("row").chunks]
    row_ids, of_base, labels = (table.column(name).to_numpy() for name in ("row_id", "of_base", "label"))
    order = np.argsort(row_ids, kind="stable")
    return Received(row_ids[order], np.concatenate(parts, axis=1)[:, order], of_base[order], labels[order])


def n_tasks(cells: Sized, context: SparkContext) -> int:
    """Tasks for the cells. Told how many, Spark does not merge those with few bytes; what they cost is their pairs."""
    return min(len(cells), context.defaultParallelism * _TASKS_PER_CORE)


def even_copies(
    bases: DataFrame, n_bases: int, n_to_make: int, random_state: int
) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
    """How often each of these rows is a base: equally often but for one, which the hash of its row_id decides."""
    whole, remaining = divmod(n_to_make, n_bases)
    hashes = bases.select("row_id").mapInArrow(partial(_hashed, random_state=random_state), "hash bigint")
    last = hash_of_rank(hashes, remaining)
    return lambda row_ids: whole + (hash64(random_state, Stream.EXTRA_COPY, row_ids) <= last)


def _hashed(batches: Batches, random_state: int) -> Batches:
    for batch in batches:
        hashes = hash64(random_state, Stream.EXTRA_COPY, batch.column(0).to_numpy())
        yield pa.RecordBatch.from_arrays([pa.array(hashes)], ["hash"])

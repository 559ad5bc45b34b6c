"""The rows of a class where they lie: of a class too large for one machine, and to repeat them.

A large class is sent to spatial cells, and each cell is for one task. The class is looked at four times: for a sample,
for the true neighbours of some sampled rows, for the bases that get one copy more than the others, and to send the
rows. What comes back to the driver is bounded each time.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from raresmith.cells import N_QUERIES, Cells, Sample, sample_size
from raresmith.neighbors import Distance
from raresmith.random import Stream, hash64
from raresmith.smote import Smote
from raresmith.spark.class_rows import Arrays, FeatureColumns, packed, unpacked
from raresmith.spark.made_rows import copied_batches, made_batches, made_schema
from raresmith.spark.nearest import features_of, nearest_in_table

TASKS_PER_CORE = 4

Batches = Iterator[pa.RecordBatch]


class ClassRows:
    """The train rows of one class in Spark."""

    def __init__(
        self, rows: DataFrame, features: FeatureColumns, class_name: str, n_rows: int, random_state: int
    ) -> None:
        self.n_rows = n_rows
        self._rows, self._features, self._name = features.of_rows(rows), features, class_name
        self._random_state = random_state
        self._context = rows.sparkSession.sparkContext

    def sample(self) -> Arrays:
        """Ids, ascending, and features of rows chosen by the hash of their id."""
        size = sample_size(self.n_rows, self._features.row_bytes)
        below = np.uint64(min(2**64 - 1, 2**64 * size // self.n_rows))
        random_state = self._random_state

        def choose(batches: Batches) -> Batches:
            for batch in batches:
                hashes = hash64(random_state, Stream.SAMPLE, batch.column(0).to_numpy())
                yield batch.filter(pa.array(hashes.view(np.uint64) <= below))

        chosen = self._rows.mapInArrow(choose, self._rows.schema).toArrow()
        row_ids, columns = self._features.arrays(chosen, self._name)
        order = np.argsort(row_ids, kind="stable")
        return row_ids[order], columns[:, order]

    def with_neighbors(self, row_ids: NDArray[np.int64], columns: NDArray[Any], k: int, distance: Distance) -> Sample:
        """The sample, and the true neighbours of N_QUERIES of its rows."""
        hashes = hash64(self._random_state, Stream.SAMPLE, row_ids)
        queries = np.sort(np.argsort(hashes.view(np.uint64), kind="stable")[:N_QUERIES])
        asked = row_ids[queries], columns[:, queries]
        near, distances = nearest_in_table(self._rows, self._features, self._name, asked, k, distance)
        distinct, place = np.unique(near, return_inverse=True)
        return Sample(
            row_ids=row_ids,
            columns=columns,
            queries=queries,
            near_row_ids=near,
            near_columns=features_of(self._rows, self._features, self._name, distinct)[:, place],
            near_distances=distances,
        )

    def made(self, cells: Cells, plan: Smote, n_to_make: int) -> DataFrame:
        """The made rows; `plan` says how, with none of the class's rows in it."""
        features, name = self._features, self._name
        schema = to_arrow_schema(made_schema(features))
        copies_of = self.copies(n_to_make)
        sent_cells, sent_plan = self._context.broadcast(cells), self._context.broadcast(plan)

        def send(batches: Batches) -> Batches:
            for batch in batches:
                row_ids, columns = features.arrays(batch, name)
                of_rows = sent_cells.value.of(row_ids, columns)
                rows = packed(columns)
                for nth, cell in enumerate(of_rows.T):
                    at_home = pa.array(np.full(len(row_ids), nth == 0))
                    yield pa.RecordBatch.from_arrays(
                        [pa.array(cell.astype(np.int32)), at_home, pa.array(row_ids), rows],
                        ["cell", "at_home", "row_id", "row"],
                    )

        def make(batches: Batches) -> Batches:
            received = [batch for batch in batches if batch.num_rows]
            row_ids = np.concatenate([batch.column("row_id").to_numpy() for batch in received])
            at_home = np.concatenate([batch.column("at_home").to_numpy(zero_copy_only=False) for batch in received])
            parts = [unpacked(batch.column("row"), len(features.names), features.dtype) for batch in received]
            order = np.argsort(row_ids, kind="stable")
            copies = copies_of(row_ids)
            in_cell = replace(
                sent_plan.value,
                row_ids=row_ids[order],
                columns=np.concatenate(parts, axis=1)[:, order],
                copies=np.where(at_home, copies, 0)[order],
            )
            yield from made_batches(in_cell, np.arange(in_cell.n_to_make), schema)

        sent = self._rows.mapInArrow(send, "cell int, at_home boolean, row_id bigint, row binary")
        # Told how many, Spark does not merge partitions whose bytes are few; what they cost is their pairs.
        tasks = min(len(cells), self._context.defaultParallelism * TASKS_PER_CORE)
        return sent.repartition(tasks, "cell").groupBy("cell").applyInArrow(make, made_schema(features))

    def copied(self, n_to_make: int) -> DataFrame:
        """The class's rows again, each equally often but for one, as made rows that are their own neighbours."""
        features, name, random_state = self._features, self._name, self._random_state
        schema = to_arrow_schema(made_schema(features))
        copies_of = self.copies(n_to_make)

        def copy(batches: Batches) -> Batches:
            for batch in batches:
                row_ids, columns = features.arrays(batch, name)
                yield from copied_batches(row_ids, columns, copies_of(row_ids), random_state, schema)

        return self._rows.mapInArrow(copy, made_schema(features))

    def copies(self, n_to_make: int) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
        """How often each row is a base, as `copies_per_base` has it."""
        whole, remaining = divmod(n_to_make, self.n_rows)
        last, random_state = self._hash_of_rank(remaining), self._random_state
        return lambda row_ids: whole + (hash64(random_state, Stream.EXTRA_COPY, row_ids) <= last)

    def _hash_of_rank(self, rank: int) -> int:
        """The EXTRA_COPY hash that so many of the class's rows do not exceed; below all where it is none."""
        if rank == 0:
            return -(2**63)
        random_state = self._random_state

        def count(batches: Batches) -> Batches:
            for batch in batches:
                buckets = hash64(random_state, Stream.EXTRA_COPY, batch.column(0).to_numpy()) >> 48
                found, counts = np.unique(buckets, return_counts=True)
                yield pa.RecordBatch.from_arrays([pa.array(found), pa.array(counts)], ["bucket", "rows"])

        ids = self._rows.select("row_id")
        counted = ids.mapInArrow(count, "bucket bigint, rows bigint").groupBy("bucket").agg(F.sum("rows").alias("rows"))
        table = counted.orderBy("bucket").toArrow()
        ends = np.cumsum(table.column(1).to_numpy())
        place = int(np.searchsorted(ends, rank))
        bucket, before = table.column(0).to_numpy()[place], ends[place - 1] if place else 0

        def pick(batches: Batches) -> Batches:
            for batch in batches:
                hashes = hash64(random_state, Stream.EXTRA_COPY, batch.column(0).to_numpy())
                yield pa.RecordBatch.from_arrays([pa.array(hashes[hashes >> 48 == bucket])], ["hash"])

        hashes = ids.mapInArrow(pick, "hash bigint").toArrow().column(0).to_numpy()
        return int(np.sort(hashes)[rank - before - 1])

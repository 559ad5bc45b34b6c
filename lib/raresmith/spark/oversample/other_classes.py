"""Rows whose bases other classes decide on, of a class too large for one machine.

Rows of other classes are sent to the cells of the class as well, and stream past its rows there, so that a task holds
the class's rows of one cell, however many others there are. Each base is kept with its neighbours until it is known how
many rows are to be made of it, which depends on all bases.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from raresmith.neighbors.cells import Cells
from raresmith.neighbors.search import Candidates, NearestSoFar
from raresmith.oversampling.base import FoundBases
from raresmith.oversampling.other_classes import look_around
from raresmith.oversampling.plan import ClassPlan, from_neighbors
from raresmith.spark.neighbors.arrow_batches import made_batches, made_schema
from raresmith.spark.neighbors.cell_exchange import Batches, even_copies, received, sent_to_cells
from raresmith.spark.neighbors.cell_stream import by_cell, own_rows_first, sent_arrays
from raresmith.spark.neighbors.feature_matrix import Arrays, FeatureColumns, packed, unpacked
from raresmith.spark.neighbors.table_search import in_chunks


def bases_among_others(
    table: DataFrame, label: int, features: FeatureColumns, cells: Cells, plan: ClassPlan
) -> DataFrame:
    """The rows of a class that others may be made of, each with its neighbours.

    Parameters
    ----------
    table : all rows, as by `FeatureColumns.of_rows`.
    label : that of the class.
    plan : how rows are made, with none of the class's rows in it.

    Returns
    -------
    row_id, n_others (nearest rows of other classes), row (features), near_ids, near_rows, is_other (of the neighbours)
    """
    context = table.sparkSession.sparkContext
    sent_cells, sent_plan = context.broadcast(cells), context.broadcast(plan)
    oversampler, k, n_features = plan.oversampler, plan.k_neighbors, len(features.names)

    def look(batches: Batches) -> Batches:
        for own, passing in by_cell(batches, label):
            if not own:
                continue
            row_ids, columns, of_base, _ = received(own, features)
            bases = np.flatnonzero(of_base)
            in_cell = replace(sent_plan.value, row_ids=row_ids, columns=columns)
            parts = (sent_arrays(batch, features) for batch in passing)
            others = _Passing(parts, keep=oversampler.towards_other_classes)
            around, n_others = look_around(in_cell, bases, others)
            chosen = oversampler.may_be_base(n_others)
            near = in_cell.all_found(around.near[chosen, :k])
            is_other = np.zeros(near.shape, bool)
            near_ids, near_rows = row_ids[near], columns[:, near]
            if oversampler.towards_other_classes:
                is_other = around.is_other[chosen, :k]
                near = around.nearest[chosen, :k]
                near_ids = np.where(is_other, near, row_ids[np.where(is_other, 0, near)])
                near_rows = columns[:, np.where(is_other, 0, near)]
                if is_other.any():
                    near_rows[:, is_other] = others.rows(near[is_other])
            by_neighbor = near_rows.transpose(2, 0, 1).reshape(k * n_features, -1)
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array(row_ids[bases[chosen]]),
                    pa.array(n_others[chosen]),
                    packed(columns[:, bases[chosen]]),
                    packed(near_ids.T),
                    packed(by_neighbor),
                    packed(is_other.T),
                ],
                ["row_id", "n_others", "row", "near_ids", "near_rows", "is_other"],
            )

    in_order = own_rows_first(sent_to_cells(table, features, sent_cells), cells, label)
    schema = "row_id bigint, n_others bigint, row binary, near_ids binary, near_rows binary, is_other binary"
    return in_order.mapInArrow(look, schema)


def made_of_bases(bases: DataFrame, features: FeatureColumns, plan: ClassPlan, n_to_make: int) -> DataFrame:
    """The made rows, from what `bases_among_others` gives.

    Raises
    ------
    NothingToMake
        If there is no base.
    """
    k, n_features = plan.k_neighbors, len(features.names)
    counted = bases.agg(F.count("row_id"), F.sum("n_others"), F.max("n_others")).first()
    assert counted is not None
    n_bases, n_others, most_others = (value or 0 for value in counted)
    found = FoundBases(
        class_name=plan.class_name,
        n_to_make=n_to_make,
        n_bases=n_bases,
        n_others=n_others,
        most_others=most_others,
    )
    decides, copies_of = "n_others", plan.oversampler.choose_bases(found)
    if copies_of is None:
        decides, copies_of = "row_id", even_copies(bases, n_bases, n_to_make, plan.random_state)
    schema = to_arrow_schema(made_schema(features))
    sent_plan = bases.sparkSession.sparkContext.broadcast(plan)

    def make(batches: Batches) -> Batches:
        for batch in batches:
            if not batch.num_rows:
                continue
            row_ids = batch.column("row_id").to_numpy()
            copies = copies_of(batch.column(decides).to_numpy())
            near_rows = unpacked(batch.column("near_rows"), k * n_features, features.dtype)
            of_batch = from_neighbors(
                sent_plan.value,
                row_ids,
                unpacked(batch.column("row"), n_features, features.dtype),
                copies,
                unpacked(batch.column("near_ids"), k, np.int64).T,
                near_rows.reshape(k, n_features, -1).transpose(1, 2, 0),
                unpacked(batch.column("is_other"), k, np.bool_).T,
            )
            yield from made_batches(of_batch, np.arange(of_batch.n_to_make), schema)

    return bases.mapInArrow(make, made_schema(features))


class _Passing:
    """Rows of other classes that come by once, as `OtherClasses`."""

    def __init__(self, parts: Iterable[Arrays], keep: bool) -> None:
        """`keep` the features of those that are near."""
        self._parts, self._keep = parts, keep
        self._held: Arrays | None = None

    def nearest(
        self, plan: ClassPlan, bases: NDArray[np.int64], n: int, within: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        queries = plan.columns[:, bases]
        nearest = NearestSoFar(len(bases), n, within)
        for row_ids, columns in in_chunks(iter(self._parts)):
            nearest.search(Candidates(columns, plan.distance), row_ids, queries)
            if self._keep:
                parts = [part for part in (self._held, (row_ids, columns)) if part is not None]
                ids = np.concatenate([part[0] for part in parts])
                near = np.isin(ids, nearest.row_ids[np.isfinite(nearest.distances)])
                self._held = ids[near], np.concatenate([part[1] for part in parts], axis=1)[:, near]
        return nearest.row_ids, nearest.distances

    def rows(self, row_ids: NDArray[np.int64]) -> NDArray[Any]:
        """Features of rows that are among the nearest."""
        assert self._held is not None
        held, columns = self._held
        order = np.argsort(held, kind="stable")
        return columns[:, order[np.searchsorted(held, row_ids, sorter=order)]]

"""The nearest rows of a whole table for rows that every task knows, in one pass over the table."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from raresmith.neighbors.distance import Distance
from raresmith.neighbors.search import Candidates, NearestSoFar
from raresmith.spark.neighbors.feature_matrix import Arrays, FeatureColumns

_CHUNK_ROWS = 2**16
_BLOCK_QUERIES = 2**16
"""So many at once, that what a task needs besides its lists does not grow with the queries."""


def nearest_in_table(
    rows: DataFrame,
    features: FeatureColumns,
    queries: Arrays,
    k: int,
    distance: Distance,
    within: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Ids and squared distances of the k nearest other rows of each query, nearest first, equally near ones by id.

    Parameters
    ----------
    rows
        row_id and features, as by `FeatureColumns.of_rows`.
    queries
        Ids and features of shape (n_features, n_queries); a row with a query's id is not its own neighbour.
    within
        Squared distance of each query beyond which no row is wanted.

    Returns
    -------
    ids, squared distances : ndarrays of shape (n_queries, k)
        The distance is infinite where fewer are found.
    """
    n_queries = len(queries[0])
    sent = rows.sparkSession.sparkContext.broadcast((queries, within))

    blocks = [slice(start, start + _BLOCK_QUERIES) for start in range(0, n_queries, _BLOCK_QUERIES)]

    def search(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        (query_ids, columns), limits = sent.value
        nearest = NearestSoFar(n_queries, k, limits)
        for ids, values in in_chunks(features.arrays(batch) for batch in batches if batch.num_rows):
            candidates = Candidates(values, distance)
            for block in blocks:
                at = np.minimum(np.searchsorted(ids, query_ids[block]), len(ids) - 1)
                own = np.where(ids[at] == query_ids[block], at, -1)
                nearest.search(candidates, ids, columns[:, block], own, block=block)
        for block in blocks:
            there = np.isfinite(nearest.distances[block])
            query = np.broadcast_to(np.arange(n_queries, dtype=np.int32)[block, None], there.shape)
            yield pa.RecordBatch.from_arrays(
                [pa.array(found[there]) for found in (query, nearest.row_ids[block], nearest.distances[block])],
                ["query", "row_id", "distance"],
            )

    found = rows.mapInArrow(search, "query int, row_id bigint, distance double")
    place = F.row_number().over(Window.partitionBy("query").orderBy("distance", "row_id"))
    table = found.withColumn("place", place - 1).where(F.col("place") < k).toArrow()
    query, row_id, distance, at = (column.to_numpy() for column in table.columns)
    ids, distances = np.zeros((n_queries, k), np.int64), np.full((n_queries, k), np.inf)
    ids[query, at], distances[query, at] = row_id, distance
    return ids, distances


def features_of(rows: DataFrame, features: FeatureColumns, row_ids: NDArray[np.int64]) -> NDArray[Any]:
    """Features of the rows with these ids, ascending and all in the table; of shape (n_features, n_ids)."""
    spark = rows.sparkSession
    wanted = F.broadcast(spark.createDataFrame(pa.table({"row_id": row_ids})))
    return features.ordered(rows.join(wanted, "row_id", "left_semi").toArrow())[1]


def in_chunks(parts: Iterator[Arrays]) -> Iterator[Arrays]:
    """The rows in larger parts, since each part is searched by all queries; ids of each ascending."""
    held: list[Arrays] = []
    for part in parts:
        held.append(part)
        if sum(len(ids) for ids, _ in held) >= _CHUNK_ROWS:
            yield _together(held)
            held = []
    if held:
        yield _together(held)


def _together(parts: list[Arrays]) -> Arrays:
    row_ids = np.concatenate([ids for ids, _ in parts])
    order = np.argsort(row_ids, kind="stable")
    return row_ids[order], np.concatenate([values for _, values in parts], axis=1)[:, order]

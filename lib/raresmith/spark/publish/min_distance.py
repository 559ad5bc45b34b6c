"""Made rows that lie too close to a train row of their class.

Distances are those that `oversample` looks for neighbours by, over the features that the raw columns of a made row give
when they are encoded again: what is left out is judged by what would leave. The unit is the median distance from a
train row of the class to its own nearest train row, taken over as many as `N_QUERIES` rows chosen by hash: a made row
at distance 1 is as far from the train rows as these mostly are from each other.

A class that fits in memory is searched exactly. A larger one is searched in spatial cells, where a row may have a
nearer one in a cell that it is not compared with: there the rows left out are too close for certain, and a few that
are may stay; the share of the nearest rows that cells find is measured, and at least oversample.min_recall.
"""

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from raresmith.encoding.encoder import Encoder
from raresmith.errors import DataError
from raresmith.neighbors.cells import SEND_SECONDS, Fit, Sample, choose_cells, sampled
from raresmith.neighbors.rotation import rotated
from raresmith.neighbors.search import Candidates
from raresmith.spark.neighbors.cell_exchange import Batches, ClassRows, received, sent_to_cells
from raresmith.spark.neighbors.cell_stream import by_cell, own_rows_first, sent_arrays
from raresmith.spark.neighbors.feature_matrix import Arrays, FeatureColumns
from raresmith.spark.neighbors.neighbor_search import NeighborSearch

if TYPE_CHECKING:
    from raresmith.config import OversampleConfig

_MADE = -1
"""In place of a label, on the way to the cells of a class."""
_SCHEMA = "row_id bigint"


class TooClose(NamedTuple):
    """The made rows of a class that are too close."""

    rows: DataFrame
    """row_id."""
    measures: dict[str, Any]
    """The unit, in the space of the features, and how train rows were searched."""


def raw_features(encoder: Encoder) -> Encoder:
    """The encoder of the features that raw columns give by themselves: none of windows or the calendar.

    Raises
    ------
    DataError
        If there is none.
    """
    kept = [f for f in encoder.features if not f.made]
    indicators = {f.state for f in kept if f.kind == "numeric"}
    found = tuple(f for f in encoder.features if not f.made or f.name in indicators)
    if not found:
        raise DataError("publish.min_distance needs a raw column that is a feature, and there is none; set it to 0")
    return dataclasses.replace(encoder, features=found)


def too_close(
    made: DataFrame,
    train: DataFrame,
    encoder: Encoder,
    label: int,
    min_distance: float,
    config: "OversampleConfig",
    random_state: int,
) -> TooClose:
    """The rows of `made` that are nearer than `min_distance` units to a row of `train`, both of the class `label`.

    Parameters
    ----------
    made : DataFrame with ROW_ID and the raw columns behind `raw_features`
    train : DataFrame with row_id, label and the features
    """
    from raresmith.spark.encoding.encode import encode  # here, for tasks import this module and not the configuration

    space = raw_features(encoder)
    features = FeatureColumns.of(space).of_class(encoder.label.classes[label])
    rows = ClassRows(train, features, train.count(), random_state)
    queries = features.of_rows(encode(made, space).withColumn("label", F.lit(_MADE)))
    search = NeighborSearch.among(rows.n_rows, features, config.max_exact_bytes)
    if search.where == "exact":
        unit, found = _in_memory(rows, queries, min_distance, random_state)
        fit = None
    else:
        unit, found, fit = _in_cells(rows, queries, label, min_distance, config.min_recall, random_state)
    return TooClose(found, {**search.measures(fit), "unit": unit})


def _in_memory(rows: ClassRows, queries: DataFrame, min_distance: float, random_state: int) -> tuple[float, DataFrame]:
    features = rows.features
    row_ids, columns, _ = features.ordered(rows.rows.toArrow())
    distance = features.distance(columns)
    unit = _unit(sampled(row_ids, columns, 1, distance, random_state))
    context = queries.sparkSession.sparkContext
    sent = context.broadcast((columns, rotated(distance, columns, 1)))

    def search(batches: Batches) -> Batches:
        candidates = Candidates(*sent.value)
        for batch in batches:
            if batch.num_rows:
                yield _nearer(candidates, features.arrays(batch), unit * min_distance)

    # A fixed number of tasks: few bytes, which Spark would give to one of them, may be many pairs of rows.
    asked = queries.repartition(context.defaultParallelism, "row_id")
    return unit, asked.mapInArrow(search, _SCHEMA)


def _in_cells(
    rows: ClassRows, queries: DataFrame, label: int, min_distance: float, min_recall: float, random_state: int
) -> tuple[float, DataFrame, Fit]:
    features = rows.features
    row_ids, columns = rows.sample()
    distance = features.distance(columns)
    sample = rows.with_neighbors(row_ids, columns, 1, distance)
    unit = _unit(sample)
    fit = choose_cells(sample, rows.n_rows, distance, min_recall, random_state, features.class_name, SEND_SECONDS)

    def search(batches: Batches) -> Batches:
        for own, passing in by_cell(batches, label):
            if own:
                candidates = Candidates(received(own, features).columns, distance)
                for batch in passing:
                    yield _nearer(candidates, sent_arrays(batch, features), unit * min_distance)

    cells = queries.sparkSession.sparkContext.broadcast(fit.cells)
    sent = sent_to_cells(rows.rows.unionAll(queries), features, cells)
    # Train rows are candidates in several cells; a made row is looked up in its home only.
    sent = sent.where((F.col("label") != _MADE) | F.col("of_base"))
    return unit, own_rows_first(sent, fit.cells, label).mapInArrow(search, _SCHEMA), fit


def _unit(sample: Sample) -> float:
    return float(np.median(np.sqrt(sample.near_distances)))


def _nearer(candidates: Candidates, asked: Arrays, distance: float) -> pa.RecordBatch:
    """Ids of the rows that have a candidate nearer than `distance`."""
    row_ids, columns = asked
    # The greatest square below, since the search takes rows at the limit as well.
    within = np.full(len(row_ids), np.nextafter(distance**2, -1.0))
    near, _ = candidates.nearest(columns, 1, within=within)
    return pa.RecordBatch.from_arrays([pa.array(row_ids[near[:, 0] >= 0])], ["row_id"])

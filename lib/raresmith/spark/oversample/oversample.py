"""Made rows of the train split, in parallel with the true nearest neighbours of the whole class, or nearly all of them.

Minority rows are few: as long as they fit, each executor gets all of a class's rows, and each task makes its share of
the rows. A larger class stays where it is and is sent to spatial cells. A made row does not depend on the task that
makes it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import Broadcast, StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from raresmith.encoding.decode import stand_ins
from raresmith.encoding.encoder import NUMBER, Encoder
from raresmith.errors import DataError, NothingToMake
from raresmith.neighbors.cells import SEND_SECONDS, Fit
from raresmith.neighbors.search import processors
from raresmith.oversampling.base import CellOversampler, Oversampler
from raresmith.oversampling.other_classes import among_other_classes
from raresmith.oversampling.plan import ClassPlan, fit_cells, in_cells, plan_class, plan_copies
from raresmith.oversampling.registry import oversampler_of
from raresmith.oversampling.sampling_strategy import for_batch, rows_to_make
from raresmith.spark.columns import col
from raresmith.spark.neighbors.arrow_batches import METHOD, made_batches, made_schema
from raresmith.spark.neighbors.cell_exchange import ClassRows
from raresmith.spark.neighbors.feature_matrix import Arrays, FeatureColumns
from raresmith.spark.neighbors.neighbor_search import NeighborSearch
from raresmith.spark.neighbors.table_search import features_of, nearest_in_table
from raresmith.spark.oversample.category_counts import code_counts
from raresmith.spark.oversample.cleaning import reduced
from raresmith.spark.oversample.other_classes import bases_among_others, made_of_bases
from raresmith.spark.oversample.whole_cells import rows_of_cells

if TYPE_CHECKING:
    from raresmith.config import OversampleConfig


@dataclass(frozen=True, kw_only=True)
class Oversampled:
    """What oversampling gives."""

    rows: DataFrame
    """The `synthetic` table."""
    measures: dict[str, Any]
    """Of each class with made rows, and of cleaning: where neighbours were looked for, and the share of the true ones
    that is found."""
    removed: DataFrame | None = None
    """The `removed` table where rows are taken out."""
    left_out: tuple[str, ...] = ()
    """Why no rows are made of a class whose bases are only some of its rows: a sentence each."""
    kept: tuple[DataFrame, ...] = ()
    """What is kept until the rows are written."""

    def release(self) -> None:
        """Let go of it."""
        for df in self.kept:
            df.unpersist()


def oversample(
    features: DataFrame, encoder: Encoder, config: "OversampleConfig", random_state: int, run_id: str, bases: str = ""
) -> Oversampled:
    """Rows made from the train rows of `features`; they are the same however these are partitioned.

    `bases` is as in `made_rows`.

    Raises
    ------
    DataError
        As `made_rows` does.
    """
    train = features.where(col("split") == "train")
    columns, classes = FeatureColumns.of(encoder), encoder.label.classes
    made = made_rows(train, columns, classes, oversampler_of(config), config, random_state, bases)
    if config.removes:
        less = reduced(train, made.rows, columns, classes, config, random_state)
        made = replace(
            made,
            rows=less.made,
            measures={**made.measures, **less.measures},
            removed=less.removed.withColumn("run_id", F.lit(run_id)),
            kept=(*made.kept, *less.kept),
        )
    rows = made.rows.select(
        "row_id",
        "base_row_id",
        "neighbor_row_id",
        "gap",
        col(METHOD).alias("method"),
        "label",
        F.lit(run_id).alias("run_id"),
        *_settled(encoder),
    )
    return replace(made, rows=rows)


def _settled(encoder: Encoder) -> list[Column]:
    """The features of made rows, whose numbers are what is encoded in train rows where they do not count."""
    found = stand_ins(encoder.features)
    columns = []
    for feature in encoder.features:
        column = col(feature.name)
        if feature.name in found:
            state, stand_in = found[feature.name]
            column = F.when(col(state) == NUMBER, column).otherwise(F.lit(stand_in).cast(feature.storage))
        columns.append(column.alias(feature.name))
    return columns


def made_rows(
    train: DataFrame,
    features: FeatureColumns,
    classes: tuple[str, ...],
    oversampler: Oversampler,
    config: "OversampleConfig",
    random_state: int,
    bases: str = "",
) -> Oversampled:
    """Made rows: row_id, those of their parents, gap, the features, METHOD and label.

    Parameters
    ----------
    train : DataFrame with row_id, label and the features
        The label is a position in `classes`.
    oversampler, config
        What makes the rows, and what is set beside its own parameters.
    bases
        SQL condition of the rows that others are made of, which are neighbours like all the others: how many rows to
        make is told by them, and where that is none or they have no neighbour, the result says why. Empty means all
        rows, and an error instead.

    Raises
    ------
    DataError
        If the strategy does not fit the classes, a class has too few rows, or more than `oversample.max_exact_bytes`
        where the method or exact neighbours need it in memory, cells find too few neighbours, a row_id comes twice, or
        a feature is null, NaN, infinite or beyond 1e150.
    """
    all_counts, counts = _counted(train, classes, bases)
    strategy = for_batch(config.sampling_strategy, counts, classes) if bases else config.sampling_strategy
    left_out: list[str] = []
    wanted: dict[str, int] = {}
    with _told_in(left_out, bases):
        wanted = {name: n for name, n in rows_to_make(counts, strategy).items() if n > 0}
    if wanted:
        oversampler.check(features.features)
    if isinstance(oversampler, CellOversampler):
        rows, measures = rows_of_cells(train, features, classes, counts, wanted, oversampler, random_state)
        return Oversampled(rows=rows, measures=measures)
    sources = []
    for name, n_to_make in wanted.items():
        source = _Class(
            train=train,
            features=features.of_class(name),
            config=config,
            oversampler=oversampler,
            random_state=random_state,
            label=classes.index(name),
            n_rows=all_counts[name],
            n_to_make=n_to_make,
            bases=bases,
            n_bases=counts[name],
        )
        with _told_in(left_out, bases):
            source.check()
            sources.append(source)
    return _made_of(sources, train, features, left_out, bases)


def _counted(train: DataFrame, classes: tuple[str, ...], bases: str) -> tuple[dict[str, int], dict[str, int]]:
    """Rows of each class, and those that others are made of."""
    is_base = F.expr(bases or "true")
    counted = train.groupBy("label").agg(F.count(F.lit(1)).alias("rows"), F.count_if(is_base).alias("bases"))
    found = {classes[row["label"]]: row for row in counted.collect()}
    # Ties between classes are decided by their order, which a shuffle does not keep.
    there = [name for name in classes if name in found]
    return tuple({name: int(found[name][what]) for name in there} for what in ("rows", "bases"))  # type: ignore[return-value]


def _made_of(
    sources: list["_Class"], train: DataFrame, features: FeatureColumns, left_out: list[str], bases: str
) -> Oversampled:
    """The rows of all classes that there are any of."""
    # There for its schema only, where nothing is made.
    parts = [_labelled(train.sparkSession.createDataFrame([], made_schema(features)), "", 0)]
    measures, kept = {}, []
    for source in sources:
        with _told_in(left_out, bases):
            made, fit = source.made()
            parts.append(_labelled(made, source.oversampler.name, source.label))
            if source.k_neighbors:
                measures[source.name] = source.search.measures(fit)
        kept += source.kept
    rows = reduce(DataFrame.union, parts[1:] or parts)
    return Oversampled(rows=rows, measures=measures, left_out=tuple(left_out), kept=tuple(kept))


def _labelled(made: DataFrame, method: str, label: int) -> DataFrame:
    return made.select("*", F.lit(method).alias(METHOD), F.lit(label).alias("label"))


@contextmanager
def _told_in(left_out: list[str], bases: str) -> Iterator[None]:
    """Where only some rows are bases, note in `left_out` why there is nothing to make, and go on."""
    try:
        yield
    except NothingToMake as error:
        if not bases:
            raise
        left_out.append(str(error))


@dataclass(frozen=True, kw_only=True)
class _Class:
    """A class that rows are to be made of."""

    train: DataFrame
    features: FeatureColumns
    """They know the class's name."""
    config: "OversampleConfig"
    oversampler: Oversampler
    random_state: int
    label: int
    n_rows: int
    n_to_make: int
    bases: str
    """SQL condition of the rows that others are made of; empty means all."""
    n_bases: int
    kept: list[DataFrame] = field(default_factory=list)
    """What making its rows keeps in Spark."""

    @property
    def name(self) -> str:
        return self.features.class_name

    @property
    def rows(self) -> DataFrame:
        return self.train.where(col("label") == self.label)

    @property
    def search(self) -> NeighborSearch:
        """Where its rows' neighbours are looked for."""
        config = self.config
        return NeighborSearch.among(self.n_rows, self.features, config.max_exact_bytes, config.neighbors)

    @property
    def k_neighbors(self) -> int:
        return self.oversampler.usable_neighbors(self.n_rows, self.name)

    def check(self) -> None:
        """Refuse what can be refused before anything is read."""
        if self.k_neighbors:
            self.search.check(self.name)

    def made(self) -> tuple[DataFrame, Fit | None]:
        """The made rows, and the cells if there are any."""
        if not self.k_neighbors:
            return self._made_in_place(), None
        streamed = self.oversampler.needs_other_classes and self.search.where == "cells"
        return self._made_from_memory() if self.search.fits and not streamed else self._made_cell_by_cell()

    def _made_in_place(self) -> DataFrame:
        rows = self._in_spark()
        if self.oversampler.copies_rows:  # nothing to learn
            plan = plan_copies(self.oversampler, self.features.features, self.random_state)
        else:
            plan = self._plan(rows.sample(), 0)
        return rows.made_in_place(plan, self.n_to_make)

    def _made_from_memory(self) -> tuple[DataFrame, Fit | None]:
        config, fit, where = self.config, None, self.search.where
        rows, is_base = self._collected()
        plan = self._plan(rows, self.n_to_make, is_base)
        if self.oversampler.needs_other_classes:
            plan = among_other_classes(plan, self.n_to_make, _OtherClasses(self), processors(), is_base)
        elif where != "exact":
            plan, fit = in_cells(plan, where, config.min_recall)
        spark = self.train.sparkSession
        # Made rows are numbered base by base, so a run of numbers is a slice of the bases. To share out the numbers and
        # not the bases keeps the tasks even where a few bases have many copies.
        tasks = min(config.num_partitions or spark.sparkContext.defaultParallelism, plan.n_to_make)
        schema = made_schema(self.features)
        make = _maker(spark.sparkContext.broadcast(plan), plan.n_to_make, tasks, to_arrow_schema(schema))
        return spark.range(0, tasks, 1, tasks).mapInArrow(make, schema), fit

    def _made_cell_by_cell(self) -> tuple[DataFrame, Fit]:
        rows = self._in_spark()
        row_ids, columns = rows.sample()
        # All that is learnt of the class is learnt from the sample.
        plan = self._plan((row_ids, columns), 0)
        among_others, k = self.oversampler.needs_other_classes, plan.k_neighbors
        table = self.features.of_rows(self.train, self.bases) if among_others else None
        n = max(k, self.oversampler.m_nearest(k)) if among_others else 0
        sample = rows.with_neighbors(row_ids, columns, k, plan.distance, table, n)
        where: Literal["cells", "partition"] = "partition" if self.search.where == "partition" else "cells"
        fit = fit_cells(sample, self.n_rows, plan, where, self.config.min_recall, SEND_SECONDS)
        if table is None:
            return rows.made(fit.cells, plan, self.n_to_make), fit
        bases = bases_among_others(table, self.label, self.features, fit.cells, plan)
        # How many rows are made of each depends on all of them, and to find them again would cost as much once more.
        self.kept.append(bases.persist(StorageLevel.DISK_ONLY))
        return made_of_bases(bases, self.features, plan, self.n_to_make), fit

    def _in_spark(self) -> ClassRows:
        return ClassRows(self.rows, self.features, self.n_rows, self.random_state, self.bases, self.n_bases)

    def _plan(self, rows: Arrays, n_to_make: int, is_base: NDArray[np.bool_] | None = None) -> ClassPlan:
        counts = None
        if self.oversampler.needs_category_counts:
            counts = code_counts(self.train, self.features, self.label)
        return plan_class(
            self.oversampler,
            *rows,
            self.features.features,
            n_to_make,
            self.k_neighbors,
            self.random_state,
            is_base=is_base,
            category_counts=counts,
            class_name=self.name,
        )

    def _collected(self) -> tuple[Arrays, NDArray[np.bool_]]:
        """Row ids, ascending, and features; and which of the rows are bases."""
        table = self.features.of_rows(self.rows, self.bases).toArrow()
        row_ids, columns, order = self.features.ordered(table)
        if (twice := np.flatnonzero(np.diff(row_ids) == 0)).size:
            raise DataError("row_id {row_id} comes twice; give each row an id of its own", row_id=row_ids[twice[0]])
        return (row_ids, columns), table.column("is_base").to_numpy()[order]


class _OtherClasses:
    """The train rows that are not of a class."""

    def __init__(self, source: _Class) -> None:
        self._features = source.features.of_class(f"other than {source.name}")
        self._rows = source.features.of_rows(source.train.where(col("label") != source.label))

    def nearest(self, plan: ClassPlan, bases: np.ndarray, n: int, within: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        queries = plan.row_ids[bases], plan.columns[:, bases]
        return nearest_in_table(self._rows, self._features, queries, n, plan.distance, within)

    def rows(self, row_ids: np.ndarray) -> np.ndarray:
        return features_of(self._rows, self._features, row_ids)


def _maker(
    plan: Broadcast[ClassPlan], n_to_make: int, tasks: int, schema: pa.Schema
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch.column(0).to_pylist():
                numbers = np.arange(n_to_make * task // tasks, n_to_make * (task + 1) // tasks)
                yield from made_batches(plan.value, numbers, schema)

    return make

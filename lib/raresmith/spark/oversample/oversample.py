"""Made rows of the train split, in parallel with the true nearest neighbours of the whole class, or nearly all of them.

Minority rows are few: as long as they fit, each executor gets all of a class's rows, and each task makes its share of
the rows. A larger class stays where it is and is sent to spatial cells. A made row does not depend on the task that
makes it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import Broadcast, StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from raresmith.config import SURROUNDED, OversampleConfig
from raresmith.encoding.encoder import Encoder
from raresmith.errors import DataError, NothingToMake
from raresmith.neighbors.cells import SEND_SECONDS, Fit
from raresmith.neighbors.search import processors
from raresmith.oversampling.other_classes import seen_by, surrounded
from raresmith.oversampling.sampling_strategy import for_batch, rows_to_make
from raresmith.oversampling.smote import Smote, fit_cells, in_cells, smote, usable_neighbors
from raresmith.oversampling.smoten import category_places
from raresmith.spark.neighbors.arrow_batches import made_batches, made_schema
from raresmith.spark.neighbors.cell_exchange import ClassRows
from raresmith.spark.neighbors.feature_matrix import Arrays, FeatureColumns
from raresmith.spark.neighbors.table_search import features_of, nearest_in_table
from raresmith.spark.oversample.category_counts import code_counts
from raresmith.spark.oversample.cleaning import reduced
from raresmith.spark.oversample.imblearn_cells import MADE_BY, sampler_rows
from raresmith.spark.oversample.other_classes import made_of_bases, surrounded_bases
from raresmith.spark.tables import col


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
    features: DataFrame, encoder: Encoder, config: OversampleConfig, random_state: int, run_id: str, bases: str = ""
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
    made = made_rows(train, columns, classes, config, random_state, bases)
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
        (col(MADE_BY) if config.method == "imblearn" else F.lit(config.method)).alias("method"),
        "label",
        F.lit(run_id).alias("run_id"),
        *[col(name) for name in encoder.names],
    )
    return replace(made, rows=rows)


def made_rows(
    train: DataFrame,
    features: FeatureColumns,
    classes: tuple[str, ...],
    config: OversampleConfig,
    random_state: int,
    bases: str = "",
) -> Oversampled:
    """Made rows: row_id, those of their parents, gap, label and the features.

    Parameters
    ----------
    train : DataFrame with row_id, label and the features
        The label is a position in `classes`.
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
    counted = train.groupBy("label").agg(
        F.count(F.lit(1)).alias("rows"), F.count_if(F.expr(bases or "true")).alias("bases")
    )
    found = {classes[row["label"]]: row for row in counted.collect()}
    # Ties between classes are decided by their order, which a shuffle does not keep.
    counts = {name: int(found[name]["bases"]) for name in classes if name in found}
    strategy = for_batch(config.sampling_strategy, counts, classes) if bases else config.sampling_strategy
    left_out: list[str] = []
    wanted: dict[str, int] = {}
    with _told_in(left_out, bases):
        wanted = {name: n for name, n in rows_to_make(counts, strategy).items() if n > 0}
    if config.method == "imblearn":
        rows, measures = sampler_rows(train, features, classes, counts, wanted, config, random_state)
        return Oversampled(rows=rows, measures=measures)
    sources = []
    for name, n_to_make in wanted.items():
        place, n_rows = classes.index(name), int(found[name]["rows"])
        source = _Class(train, features, config, random_state, name, place, n_rows, n_to_make, bases, counts[name])
        with _told_in(left_out, bases):
            source.check()
            sources.append(source)
    parts = [train.sparkSession.createDataFrame([], made_schema(features)).withColumn("label", F.lit(0))]
    measures, kept = {}, []
    for source in sources:
        with _told_in(left_out, bases):
            made, fit = source.made()
            parts.append(made.withColumn("label", F.lit(source.label)))
            if config.method != "random":
                recall = {"recall": 1.0} if fit is None else fit.measures()
                measures[source.name] = {"neighbors": source.neighbors, **recall}
        kept += source.kept
    # The empty first part is there for its schema only.
    rows = reduce(DataFrame.union, parts[1:] or parts)
    return Oversampled(rows=rows, measures=measures, left_out=tuple(left_out), kept=tuple(kept))


@contextmanager
def _told_in(left_out: list[str], bases: str) -> Iterator[None]:
    """Where only some rows are bases, note in `left_out` why there is nothing to make, and go on."""
    try:
        yield
    except NothingToMake as error:
        if not bases:
            raise
        left_out.append(str(error))


@dataclass(frozen=True)
class _Class:
    """A class that rows are to be made of."""

    train: DataFrame
    features: FeatureColumns
    config: OversampleConfig
    random_state: int
    name: str
    label: int
    n_rows: int
    n_to_make: int
    bases: str
    """SQL condition of the rows that others are made of; empty means all."""
    n_bases: int
    kept: list[DataFrame] = field(default_factory=list)
    """What making its rows keeps in Spark."""

    @property
    def rows(self) -> DataFrame:
        return self.train.where(col("label") == self.label)

    @property
    def fits(self) -> bool:
        """Whether every executor has room for its rows."""
        return self.n_rows * self.features.row_bytes <= self.config.max_exact_bytes

    @property
    def neighbors(self) -> str:
        """Where its rows' neighbours are looked for."""
        if self.config.neighbors != "auto":
            return self.config.neighbors
        return "exact" if self.fits else "cells"

    @property
    def k_neighbors(self) -> int:
        return usable_neighbors(self.n_rows, self.config.k_neighbors, self.config.on_few_neighbors, self.name)

    def check(self) -> None:
        """Refuse what can be refused before anything is read."""
        if self.config.method == "random":
            return
        _ = self.k_neighbors
        numbers = [name for name, code in zip(self.features.names, self.features.categorical, strict=True) if not code]
        if self.config.method == "smoten" and numbers:
            raise DataError(
                f"oversample.method smoten takes categories only, but feature {numbers[0]!r} is a number; set "
                'oversample.method = "smote", which takes both, or name the column in prepare.categorical'
            )
        if self.fits:
            return
        found = (
            f"class {self.name!r} has {self.n_rows} train rows of {len(self.features.names)} features, "
            f"{self.n_rows * self.features.row_bytes} bytes, but oversample.max_exact_bytes is "
            f"{self.config.max_exact_bytes}"
        )
        if self.neighbors == "exact":
            raise DataError(
                f"{found}; raise it if every executor has three times that much memory for each of its cores, or set "
                'oversample.neighbors = "cells"'
            )

    def made(self) -> tuple[DataFrame, Fit | None]:
        """The made rows, and the cells if there are any."""
        if self.config.method == "random":
            return self._in_spark().copied(self.n_to_make), None
        surrounded_in_cells = self.config.method in SURROUNDED and self.neighbors == "cells"
        return self._made_from_memory() if self.fits and not surrounded_in_cells else self._made_cell_by_cell()

    def _made_from_memory(self) -> tuple[DataFrame, Fit | None]:
        config, fit = self.config, None
        rows, is_base = self._collected()
        plan = self._plan(rows, self.n_to_make, is_base)
        if config.method in SURROUNDED:
            asked = config.method, self.n_to_make, config.m_neighbors
            plan = surrounded(plan, *asked, _OtherClasses(self), self.name, processors(), is_base)
        elif config.neighbors in ("cells", "partition"):
            plan, fit = in_cells(plan, config.neighbors, config.min_recall, self.name)
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
        config, k = self.config, self.k_neighbors
        if config.method in SURROUNDED:
            n = max(k, seen_by(config.method, k, config.m_neighbors))
            table = self.features.of_rows(self.train, self.bases)
            sample = rows.with_neighbors(row_ids, columns, k, plan.distance, table, n)
        else:
            sample = rows.with_neighbors(row_ids, columns, k, plan.distance)
        neighbors: Literal["cells", "partition"] = "partition" if self.neighbors == "partition" else "cells"
        fit = fit_cells(sample, self.n_rows, plan, neighbors, config.min_recall, self.name, SEND_SECONDS)
        if config.method not in SURROUNDED:
            return rows.made(fit.cells, plan, self.n_to_make), fit
        named, how = (self.features, self.name), (plan, config.method)
        bases = surrounded_bases(table, self.label, *named, fit.cells, *how, config.m_neighbors)
        # How many rows are made of each depends on all of them, and to find them again would cost as much once more.
        self.kept.append(bases.persist(StorageLevel.DISK_ONLY))
        return made_of_bases(bases, *named, *how, self.n_to_make, config.m_neighbors), fit

    def _in_spark(self) -> ClassRows:
        known = self.name, self.n_rows, self.random_state
        return ClassRows(self.rows, self.features, *known, self.bases, self.n_bases)

    @cached_property
    def _places(self) -> tuple[np.ndarray, ...]:
        """Of the categories, for SMOTE-N."""
        if self.config.method != "smoten":
            return ()
        return category_places(*code_counts(self.train, self.features, self.label))

    def _plan(self, rows: Arrays, n_to_make: int, is_base: NDArray[np.bool_] | None = None) -> Smote:
        return smote(
            *rows,
            np.array(self.features.categorical),
            n_to_make,
            self.k_neighbors,
            self.random_state,
            self.config.method,
            np.array(self.features.groups),
            self._places,
            is_base,
        )

    def _collected(self) -> tuple[Arrays, NDArray[np.bool_]]:
        """Row ids, ascending, and features; and which of the rows are bases."""
        table = self.features.of_rows(self.rows, self.bases).toArrow()
        row_ids, columns = self.features.arrays(table, self.name)
        order = np.argsort(row_ids, kind="stable")
        row_ids = row_ids[order]
        if (twice := np.flatnonzero(np.diff(row_ids) == 0)).size:
            raise DataError(f"row_id {row_ids[twice[0]]} comes twice; give each row an id of its own")
        for column in columns:
            column[:] = column[order]
        return (row_ids, columns), table.column("is_base").to_numpy()[order]


class _OtherClasses:
    """The train rows that are not of a class."""

    def __init__(self, source: _Class) -> None:
        self._features, self._name = source.features, f"other than {source.name}"
        self._rows = source.features.of_rows(source.train.where(col("label") != source.label))

    def nearest(self, plan: Smote, bases: np.ndarray, n: int, within: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        queries = plan.row_ids[bases], plan.columns[:, bases]
        return nearest_in_table(self._rows, self._features, self._name, queries, n, plan.distance, within)

    def rows(self, row_ids: np.ndarray) -> np.ndarray:
        return features_of(self._rows, self._features, self._name, row_ids)


def _maker(
    plan: Broadcast[Smote], n_to_make: int, tasks: int, schema: pa.Schema
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch.column(0).to_pylist():
                numbers = np.arange(n_to_make * task // tasks, n_to_make * (task + 1) // tasks)
                yield from made_batches(plan.value, numbers, schema)

    return make

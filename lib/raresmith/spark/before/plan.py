"""What a run would read, make and cost, told before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import Config, OversampleConfig
from raresmith.encoding.encoder import Encoder, Label
from raresmith.errors import DataError, NothingToMake
from raresmith.neighbors.cells import n_parts
from raresmith.oversampling.base import CellOversampler
from raresmith.oversampling.registry import oversampler_of
from raresmith.oversampling.sampling_strategy import for_batch, rows_to_keep, rows_to_make
from raresmith.spark.columns import LABEL, ROW_ID
from raresmith.spark.encoding.drawn import is_drawn
from raresmith.spark.encoding.fit import fit_encoder, is_categorical
from raresmith.spark.evaluate.classifiers.registry import configured
from raresmith.spark.files import data_files, exists, size_of, unescaped
from raresmith.spark.incremental import kept_encoder
from raresmith.spark.neighbors.feature_matrix import FeatureColumns, bytes_of_row
from raresmith.spark.neighbors.neighbor_search import NeighborSearch
from raresmith.spark.prepare.label import class_counts, class_text, fit_label, known_label
from raresmith.spark.prepare.rules import feature_columns
from raresmith.spark.prepare.windows import window_feature_names
from raresmith.spark.source.read import read_source
from raresmith.spark.stages.preflight import check_columns


@dataclass(frozen=True, kw_only=True)
class _Raw:
    """What is known of the raw table."""

    df: DataFrame
    rows: int
    counts: dict[str, int]
    """Rows of each class, in the classes' order."""
    positive: str
    train: float | None
    """Share of the rows that are train rows; None where days say it."""
    n_features: int
    row_bytes: int
    """Of a train row in memory."""

    @property
    def share(self) -> float:
        """Of the rows, which may be train rows."""
        return 1.0 if self.train is None else self.train

    @property
    def limit(self) -> str:
        """How a number is told that follows from the train rows, each of which may be one."""
        return "at most" if self.train is None else "about"

    @property
    def in_train(self) -> dict[str, int]:
        return {text: int(count * self.share) for text, count in self.counts.items()}


def plan(spark: SparkSession, config: Config) -> str:
    """The steps of the run with rows, bytes and tasks, as text.

    Reads of the raw table the label and those columns whose range decides whether they take four bytes or eight.

    Raises
    ------
    ConfigError, DataError
        As the run itself would, where the configuration does not fit the table.
    """
    lines = [f"run {config.run_id}, tables in {config.run.warehouse}"]
    if config.simulate is not None and not exists(spark, config.source.path):
        lines.append(f"simulate   {config.simulate.rows:,} rows to {config.source.path}")
        lines.append("           (the rest can be told when the table is there)")
        return "\n".join(lines)
    df = read_source(spark, config.source)
    check_columns(config, df.schema)
    oversampler_of(config.oversample).check()
    raw = _raw(df, kept_encoder(spark, config, df.schema), config)
    made, oversample_lines = _oversample(raw, config)
    n_made = sum(made.values())
    lines += [*_prepare(spark, raw, config), *oversample_lines]
    if not config.run.incremental:
        refine = config.refine
        lines.append(
            f"refine     {refine.steps:,} steps of {refine.batch_size} rows on {refine.nproc_per_node} processes, "
            f"a checkpoint every {refine.checkpoint_every:,}; {raw.limit} {n_made:,} rows out"
        )
    models = len(config.evaluate.strategies) * len(config.evaluate.seeds)
    judges = " and ".join(f"{models} {of.noun}s of {of.size()}" for of in configured(config.evaluate).values())
    lines.append(f"evaluate   {judges}; {config.evaluate.bootstrap} resamples for the intervals")
    originals = {"all": raw.rows, "train": int(raw.rows * raw.share), "none": 0}[config.publish.originals]
    fewer = ", less those taken out," if originals and config.oversample.removes else ""
    lines.append(f"publish    {originals:,} original{fewer} and {raw.limit} {n_made:,} made rows")
    if config.publish.min_distance > 0:
        pairs = sum(count * raw.in_train[text] for text, count in made.items())
        lines.append(
            f"           made rows nearer than {config.publish.min_distance:g} units to a train row are left out: at "
            f"most {pairs:,} distances"
        )
    return "\n".join(lines)


def _raw(df: DataFrame, kept: Encoder | None, config: Config) -> _Raw:
    """The classes counted, and the columns looked at whose storage their values decide."""
    fields = feature_columns(df.schema, config)
    label_column = df.schema[config.source.label]
    labelled = df.withColumn(LABEL, class_text(label_column))
    counts = class_counts(df, label_column)
    label = known_label(counts, kept, config) if kept else fit_label(counts, label_column.dataType, config)
    n_features = len(fields) + len(config.prepare.calendar) + len(window_feature_names(config.prepare.windows))
    return _Raw(
        df=df,
        rows=sum(counts.values()),
        counts={text: counts.get(text, 0) for text in label.classes},
        positive=label.positive,
        train=config.split.fractions[0] if config.split.strategy != "time" else None,
        n_features=n_features,
        row_bytes=(
            FeatureColumns.of(kept).row_bytes
            if kept
            else bytes_of_row(n_features, _has_double(labelled, fields, label, counts, config))
        ),
    )


def _has_double(
    labelled: DataFrame,
    fields: Sequence[t.StructField],
    label: Label,
    counts: Mapping[str | None, int],
    config: Config,
) -> bool:
    """Whether a column is stored as double, if the train rows are as all are."""
    whole = [
        f
        for f in fields
        if not is_categorical(f, config.prepare) and not isinstance(f.dataType, (t.FloatType, t.DoubleType))
    ]
    if not whole:
        return False
    rows = labelled.withColumn(ROW_ID, F.monotonically_increasing_id())
    drawn = is_drawn({text: counts.get(text, 0) for text in label.classes}, len(fields))
    encoder = fit_encoder(rows, whole, [], label, labelled.schema, config.prepare, drawn)
    return any(f.kind == "numeric" and f.storage == "double" for f in encoder.features)


def _prepare(spark: SparkSession, raw: _Raw, config: Config) -> list[str]:
    sizes = [size_of(spark, unescaped(file)) for file in raw.df.inputFiles()]
    # Spark knows no files of a workbook, whose rows come from here.
    sizes = sizes or [file.size for file in data_files(spark, config.source.path)]
    files = f"{_human(sum(sizes))} in {len(sizes)} files, " if sizes else ""
    shares = dict(zip(("train", "validation", "test"), config.split.fractions, strict=True))
    classes = ", ".join(f"{text}: {count:,}" for text, count in raw.counts.items())
    if config.split.strategy == "time":
        spans = {name: getattr(config.split, name) for name in shares}
        split = "split by time: " + ", ".join(f"{name} {span[0]} to {span[1]}" for name, span in spans.items())
    else:
        split = "split: " + ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    return [
        f"prepare    {raw.rows:,} rows ({classes}; positive {raw.positive!r}), {files}"
        f"{raw.df.rdd.getNumPartitions()} tasks -> about {raw.n_features} features, "
        f"{_human(raw.rows * (16 + 4 * raw.n_features))} before compression",
        f"           {split}",
    ]


def _oversample(raw: _Raw, config: Config) -> tuple[dict[str, int], list[str]]:
    """Rows to make of each class, and what is told of them."""
    lines, made = [], {}
    strategy: float | str | dict[str, int] = config.oversample.sampling_strategy
    if config.run.incremental:
        strategy = for_batch(strategy, raw.in_train, list(raw.counts))
    try:
        made = rows_to_make(raw.in_train, strategy)
    except NothingToMake as error:
        if not config.run.incremental:
            raise
        lines.append(f"oversample no rows: {error}")
    for text, count in made.items():
        rows_of = f"{raw.limit} {count:,} rows of class {text!r} from {raw.limit} {raw.in_train[text]:,}"
        lines.append(f"oversample {rows_of}; {_where(text, raw, config.oversample)}")
    if config.oversample.removes:
        after = {text: count + made.get(text, 0) for text, count in raw.in_train.items()}
        lines.append(f"           {_removals(after, config.oversample)}")
    return made, lines


def _where(class_name: str, raw: _Raw, config: OversampleConfig) -> str:
    """Where rows of a class are made, and what that costs."""
    oversampler = oversampler_of(config)
    if isinstance(oversampler, CellOversampler):
        return _cells(sum(raw.in_train.values()), raw.row_bytes, oversampler)
    search = NeighborSearch(
        n_rows=raw.in_train[class_name],
        n_features=raw.n_features,
        row_bytes=raw.row_bytes,
        max_exact_bytes=config.max_exact_bytes,
        neighbors=config.neighbors,
    )
    try:
        if not oversampler.usable_neighbors(search.n_rows, class_name):
            return "no neighbours"
        search.check(class_name)
    except DataError as error:
        return f"which the run would refuse: {error}"
    return _neighbors(search, config.min_recall)


def _neighbors(search: NeighborSearch, min_recall: float) -> str:
    found = {
        "exact": f"exact neighbours, {search.n_rows**2:,} distances",
        "partition": f"neighbours within {n_parts(search.n_rows):,} parts by hash, few of which are the true ones",
        "cells": f"neighbours in spatial cells, at least {min_recall:.0%} of the true ones",
    }[search.where]
    size, limit = _human(search.size), _human(search.max_exact_bytes)
    if search.fits:
        return f"{found}; {size} sent to each executor (limit {limit})"
    return f"{found}; {size}, more than {limit}, sent from cell to cell"


def _cells(n_rows: int, row_bytes: int, oversampler: CellOversampler) -> str:
    """How many cells of all classes there are, and what a task holds."""
    cell_rows = oversampler.parameters.cell_rows
    most = min(n_rows, 2 * cell_rows)
    return (
        f"{oversampler} in at most about {max(1, round(n_rows / cell_rows)):,} cells of {most:,} rows or fewer, "
        f"{_human(most * row_bytes)} each"
    )


def _removals(counts: dict[str, int], config: OversampleConfig) -> str:
    """What is taken out afterwards."""
    keep = rows_to_keep(counts, config.undersampling_strategy)
    words = [f"{n_rows:,} rows of class {name!r} kept of {counts[name]:,}" for name, n_rows in keep.items()]
    if config.cleaning != "none":
        method = {"tomek": "Tomek links", "enn": f"edited by {config.enn_neighbors} neighbours"}[config.cleaning]
        words.append(f"{method} among {sum(keep.get(name, count) for name, count in counts.items()):,} rows")
    return "; ".join(words)


def _human(size: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} TiB"

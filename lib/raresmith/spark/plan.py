"""What a run would read, make and cost, told before anything runs."""

from pyspark.sql import SparkSession

from raresmith.config import Config, OversampleConfig
from raresmith.errors import NothingToMake
from raresmith.neighbors.cells import n_parts
from raresmith.oversampling.imblearn_adapter import check_sampler
from raresmith.oversampling.sampling_strategy import for_batch, rows_to_keep, rows_to_make
from raresmith.spark.incremental import kept_encoder
from raresmith.spark.prepare.prepare import feature_columns, fit_label, known_label
from raresmith.spark.prepare.source import check_columns, read_source, source_exists
from raresmith.spark.prepare.windows import window_feature_names
from raresmith.spark.tables import col


def plan(spark: SparkSession, config: Config) -> str:
    """The steps of the run with rows, bytes and tasks, as text; reads the raw table's label column and nothing else.

    Raises
    ------
    ConfigError, DataError
        As the run itself would, where the configuration does not fit the table.
    """
    lines = [f"run {config.run_id}, tables in {config.run.warehouse}"]
    if config.simulate is not None and not source_exists(spark, config.source.path):
        lines.append(f"simulate   {config.simulate.rows:,} rows to {config.source.path}")
        lines.append("           (the rest can be told when the table is there)")
        return "\n".join(lines)
    raw = read_source(spark, config.source)
    check_columns(config, raw.schema)
    if config.oversample.method == "imblearn":
        check_sampler(config.oversample)
    counted = raw.groupBy(col(config.source.label).cast("string").alias("class")).count().limit(1000).collect()
    counts = {row["class"]: int(row["count"]) for row in counted}
    rows = sum(counts.values())
    kept = kept_encoder(spark, config, raw.schema)
    label = (
        known_label(counts, kept, config)
        if kept
        else fit_label(counts, raw.schema[config.source.label].dataType, config)
    )
    counts = {**dict.fromkeys(label.classes, 0), **counts}
    n_features = (
        len(feature_columns(raw.schema, config))
        + len(config.prepare.calendar)
        + len(window_feature_names(config.prepare.windows))
    )
    sources = raw.inputFiles()
    size = _bytes(spark, sources)
    shares = dict(zip(("train", "validation", "test"), config.split.fractions, strict=True))
    train = shares["train"] if config.split.strategy != "time" else None
    classes = ", ".join(f"{text}: {counts[text]:,}" for text in label.classes)
    lines.append(
        f"prepare    {rows:,} rows ({classes}; positive {label.positive!r}), {_human(size)} in {len(sources)} files, "
        f"{raw.rdd.getNumPartitions()} tasks -> about {n_features} features, {_human(rows * (16 + 4 * n_features))} "
        "before compression"
    )
    if config.split.strategy == "time":
        days = ", ".join(
            f"{name} {getattr(config.split, name)[0]} to {getattr(config.split, name)[1]}" for name in shares
        )
        lines.append(f"           split by time: {days}")
    else:
        lines.append("           split: " + ", ".join(f"{name} {share:.0%}" for name, share in shares.items()))
    share = train if train is not None else 1.0
    in_train = {text: int(counts[text] * share) for text in label.classes}
    made, strategy = {}, config.oversample.sampling_strategy
    if config.run.incremental:
        strategy = for_batch(strategy, in_train, label.classes)
    try:
        made = rows_to_make(in_train, strategy)
    except NothingToMake as error:
        if not config.run.incremental:
            raise
        lines.append(f"oversample no rows: {error}")
    limit = "at most " if train is None else "about "
    for text, count in made.items():
        rows_of = f"{limit}{count:,} rows of class {text!r} from {limit}{in_train[text]:,}"
        if config.oversample.method == "imblearn":
            where = _cells(sum(in_train.values()), n_features, config.oversample)
        else:
            where = _neighbors(in_train[text], n_features, config.oversample)
        lines.append(f"oversample {rows_of}; {where}")
    if config.oversample.removes:
        lines.append(f"           {_removals({n: in_train[n] + made.get(n, 0) for n in in_train}, config.oversample)}")
    if not config.run.incremental:
        refine = config.refine
        lines.append(
            f"refine     {refine.steps:,} steps of {refine.batch_size} rows on {refine.nproc_per_node} processes, "
            f"a checkpoint every {refine.checkpoint_every:,}; {limit}{sum(made.values()):,} rows out"
        )
    forests = len(config.evaluate.strategies) * len(config.evaluate.seeds)
    lines.append(
        f"evaluate   {forests} forests of {config.evaluate.num_trees} trees, depth {config.evaluate.max_depth}, "
        f"{config.evaluate.max_bins} bins; {config.evaluate.bootstrap} resamples for the intervals"
    )
    originals = {"all": rows, "train": int(rows * share), "none": 0}[config.publish.originals]
    fewer = ", less those taken out," if originals and config.oversample.removes else ""
    lines.append(f"publish    {originals:,} original{fewer} and {limit}{sum(made.values()):,} made rows")
    if config.publish.min_distance > 0:
        pairs = sum(count * in_train[text] for text, count in made.items())
        lines.append(
            f"           made rows nearer than {config.publish.min_distance:g} units to a train row are left out: at "
            f"most {pairs:,} distances"
        )
    return "\n".join(lines)


def _removals(counts: dict[str, int], config: OversampleConfig) -> str:
    """What is taken out afterwards."""
    keep = rows_to_keep(counts, config.undersampling_strategy)
    words = [f"{n_rows:,} rows of class {name!r} kept of {counts[name]:,}" for name, n_rows in keep.items()]
    if config.cleaning != "none":
        method = {"tomek": "Tomek links", "enn": f"edited by {config.enn_neighbors} neighbours"}[config.cleaning]
        words.append(f"{method} among {sum(keep.get(name, count) for name, count in counts.items()):,} rows")
    return "; ".join(words)


def _neighbors(n_rows: int, n_features: int, config: OversampleConfig) -> str:
    """Where the neighbours of a class are looked for, and what that costs."""
    if config.method == "random":
        return "no neighbours"
    size = n_rows * (8 + 4 * n_features)
    fits = size <= config.max_exact_bytes
    if config.neighbors == "exact" or (config.neighbors == "auto" and fits):
        found = f"exact neighbours, {n_rows**2:,} distances"
    elif config.neighbors == "partition":
        found = f"neighbours within {n_parts(n_rows):,} parts by hash, few of which are the true ones"
    else:
        found = f"neighbours in spatial cells, at least {config.min_recall:.0%} of the true ones"
    if fits:
        return f"{found}; {_human(size)} sent to each executor (limit {_human(config.max_exact_bytes)})"
    return f"{found}; {_human(size)}, more than {_human(config.max_exact_bytes)}, sent from cell to cell"


def _cells(n_rows: int, n_features: int, config: OversampleConfig) -> str:
    """Where the sampler of imbalanced-learn works, and what a task holds."""
    n_cells = max(1, round(n_rows / config.cell_rows))
    most = min(n_rows, 2 * config.cell_rows)
    return (
        f"{config.sampler} of imbalanced-learn in at most about {n_cells:,} cells of {most:,} rows or fewer, "
        f"{_human(most * (8 + 4 * n_features))} each"
    )


def _bytes(spark: SparkSession, files: list[str]) -> int:
    total = 0
    configuration = spark._jsparkSession.sessionState().newHadoopConf()
    for file in files:
        path = spark._jvm.org.apache.hadoop.fs.Path(file)  # type: ignore[union-attr]
        total += int(path.getFileSystem(configuration).getFileStatus(path).getLen())
    return total


def _human(size: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} TiB"

"""Each Spark stage of a run: read tables, transform, write tables, report. A stage that is done does nothing again."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from raresmith.config import Config
from raresmith.encoding.encoder import Encoder
from raresmith.errors import ConfigError, DataError
from raresmith.evaluation.verdict import Evaluation
from raresmith.oversampling.registry import OVERSAMPLERS, oversampler_of
from raresmith.report.page import ReportData, render_report, write_report
from raresmith.spark import incremental, tables
from raresmith.spark.columns import COMPLETE, REASON, ROW_ID
from raresmith.spark.evaluate.evaluate import evaluate
from raresmith.spark.evaluate.strategies import made_table
from raresmith.spark.oversample.oversample import oversample
from raresmith.spark.prepare.prepare import admitted, prepare
from raresmith.spark.prepare.source import (
    check_columns,
    is_unreadable,
    read_source,
    source_exists,
    source_identity,
    unreadable,
)
from raresmith.spark.publish.publish import COPIES, TAKEN_OUT, as_originals, raw_schema, valid_rows
from raresmith.spark.simulate.transactions import simulate
from raresmith.tables import contracts
from raresmith.tables.stage_report import StageReport
from raresmith.tables.stage_run import StageRun, library_versions, stage_run


def location(config: Config, table: str) -> str:
    """Where the table called `table` lies."""
    return f"{config.run.warehouse}/{table}"


def read_encoder(spark: SparkSession, config: Config) -> Encoder:
    """The fitted encoder of the warehouse."""
    row = tables.read_table(spark, location(config, "encoder")).select("document").first()
    if row is None:
        raise DataError(f"the encoder table at {location(config, 'encoder')} is empty; run prepare again")
    return Encoder.from_json(row["document"])


def _input(spark: SparkSession, config: Config, table: str) -> str | int:
    """What changes when the rows of `table` change that a stage reads: its version, or a hash of the days so far."""
    if not config.run.incremental:
        return tables.table_version(spark, location(config, table))
    stage = {"features": "prepare", "synthetic": "oversample"}[table]
    return incremental.identity_so_far(tables.read_table(spark, location(config, "runs")), stage, config)


def _done(spark: SparkSession, config: Config, run: StageRun, table: str) -> StageReport | None:
    """The report of a stage whose `table` was made by an equal run, or None."""
    if own := incremental.own_rows(config):
        # The newest commit may be another day's, so the rows themselves are held against the note of them.
        recorded = _recorded(spark, config, run)
        if recorded is None or not tables.table_exists(spark, location(config, table)):
            return None
        if tables.hash_of(spark, location(config, table), own) != recorded["content_hash"]:
            return None
        return StageReport(stage=run.stage, rows=_counts(recorded["row_counts"]), unchanged=True)
    if tables.newest_fingerprint(spark, location(config, table)) != run.fingerprint:
        return None
    recorded = _recorded(spark, config, run)
    if recorded is None:
        # The process ended between the table's commit and the note of it: only the note is missing.
        written = tables.read_back(spark, location(config, table), run)
        measures = tables.newest_notes(spark, location(config, table)).get("measures")
        rows = {table: written.rows}
        return _finish(spark, config, run, rows, table, written, started=time.monotonic(), measures=measures)
    return StageReport(stage=run.stage, rows=_counts(recorded["row_counts"]), unchanged=True)


def _counts(row_counts: str) -> dict[str, int]:
    """The rows of each table, without what is told of the values in them."""
    return {name: rows for name, rows in json.loads(row_counts).items() if isinstance(rows, int)}


def _recorded(spark: SparkSession, config: Config, run: StageRun) -> Any:
    if not tables.table_exists(spark, location(config, "runs")):
        return None
    runs = tables.read_table(spark, location(config, "runs"))
    same = (F.col("stage") == run.stage) & (F.col("fingerprint") == run.fingerprint)
    return runs.where((F.col("run_id") == run.run_id) & same).first()


def _finish(
    spark: SparkSession,
    config: Config,
    run: StageRun,
    rows: dict[str, int],
    table: str,
    written: tables.Written,
    *,
    started: float,
    words: str = "",
    verdict: str = "",
    set_aside: dict[str, dict[str, int]] | None = None,
    measures: dict[str, Any] | None = None,
) -> StageReport:
    """Note in `runs` that the stage is done, and report."""
    seconds = time.monotonic() - started
    contract = contracts.runs()
    row = run.note(
        table=table,
        version=written.version,
        row_counts={**rows, **(set_aside or {})},
        seconds=seconds,
        content_hash=written.content_hash,
        measures=measures,
    )
    note = spark.createDataFrame([tuple(row[c.name] for c in contract.columns)], tables.schema_of(contract))
    condition = f"run_id = '{run.run_id}' AND stage = '{run.stage}'"
    tables.write_table(note, contract, location(config, "runs"), run, replace_where=condition)
    return StageReport(stage=run.stage, rows=rows, seconds=seconds, words=words, verdict=verdict)


def check(spark: SparkSession, config: Config) -> None:
    """Hold the configuration against the raw table, so that a run fails before it writes anything.

    Raises
    ------
    ConfigError, DataError
        If the table is not there, cannot be read, or lacks a column that the configuration names.
    """
    if config.simulate is None or source_exists(spark, config.source.path):
        check_columns(config, read_source(spark, config.source).schema)
    oversampler_of(config.oversample).check()


def simulate_stage(spark: SparkSession, config: Config) -> StageReport:
    """Make the raw table at source.path, unless something is there."""
    started = time.monotonic()
    if config.simulate is None:
        raise ConfigError(f"{config.path} has no section [simulate]; add one that says how many rows to make")
    if source_exists(spark, config.source.path):
        return StageReport(stage="simulate", rows={config.source.path: config.simulate.rows}, unchanged=True)
    made = simulate(spark, config.simulate, config.run.random_state)
    writer = made.write.format(config.source.format)
    (writer.option("header", True) if config.source.format == "csv" else writer).save(config.source.path)
    rows = spark.read.format(config.source.format).load(config.source.path).count()
    return StageReport(stage="simulate", rows={config.source.path: rows}, seconds=time.monotonic() - started)


def prepare_stage(spark: SparkSession, config: Config) -> StageReport:
    """Raw table → features, quarantine, encoder."""
    try:
        return _prepare(spark, config)
    except (PySparkException, Py4JJavaError) as error:
        if is_unreadable(error):  # a broken file shows only when a task comes to it
            raise unreadable(error, config.source) from None
        raise


def _prepare(spark: SparkSession, config: Config) -> StageReport:
    started = time.monotonic()
    raw = read_source(spark, config.source)
    check_columns(config, raw.schema)
    kept = incremental.kept_encoder(spark, config, raw.schema)
    run = stage_run(config, "prepare", {"source": source_identity(spark, config.source)})
    if report := _done(spark, config, run, "features"):
        return report
    prepared = prepare(raw, config, kept, _other_rows(spark, config))
    encoder, columns = prepared.encoder, tables.raw_columns(prepared.raw_schema)
    named, own = F.lit(run.run_id).alias("run_id"), incremental.own_rows(config)
    # Each takes Delta a second of waiting, which two at once share.
    with ThreadPoolExecutor() as pool:
        quarantine = pool.submit(
            tables.write_table,
            prepared.quarantine.select("*", named),
            contracts.quarantine(columns),
            location(config, "quarantine"),
            run,
            replace_where=own,
        )
        if kept is None:
            document = [(run.run_id, encoder.to_json(), json.dumps(incremental.settings(config)))]
            fitted = spark.createDataFrame(document, "run_id string, document string, settings string")
            pool.submit(tables.write_table, fitted, contracts.encoder(), location(config, "encoder"), run).result()
        quarantined = quarantine.result().rows
    # The features come last: where they name this run, the other two are there as well.
    written = tables.write_table(
        prepared.features.select("*", named),
        contracts.features(encoder),
        location(config, "features"),
        run,
        replace_where=own,
        **prepared.notes,
    )
    prepared.release()
    rows = {"features": written.rows, "quarantine": quarantined}
    words, set_aside = prepared.words(), prepared.set_aside()
    return _finish(spark, config, run, rows, "features", written, started=started, words=words, set_aside=set_aside)


def _other_rows(spark: SparkSession, config: Config) -> DataFrame | None:
    """The features of all other runs that this one must leave alone, or None."""
    if not config.run.incremental or not tables.table_exists(spark, location(config, "features")):
        return None
    return tables.read_table(spark, location(config, "features")).where(F.col("run_id") != config.run_id)


def oversample_stage(spark: SparkSession, config: Config) -> StageReport:
    """features → synthetic."""
    started = time.monotonic()
    features = tables.read_table(spark, location(config, "features"))
    run = stage_run(config, "oversample", {"features": _input(spark, config, "features")})
    if report := _done(spark, config, run, "synthetic"):
        return report
    encoder = read_encoder(spark, config)
    own = incremental.own_rows(config)
    made = oversample(
        incremental.so_far(features, config), encoder, config.oversample, config.run.random_state, run.run_id, own
    )
    rows = {}
    if made.removed is not None:
        # Before the made rows: where these name the run, the others are there as well.
        taken = tables.write_table(made.removed, contracts.removed(encoder), location(config, "removed"), run)
        rows["removed"] = taken.rows
    # In the commit as well, so that they are not lost where the process ends before the note of them.
    written = tables.write_table(
        made.rows,
        contracts.synthetic(encoder),
        location(config, "synthetic"),
        run,
        replace_where=own,
        measures=made.measures,
    )
    made.release()
    _check_parents(spark, config)
    words = _words(made.measures)
    if config.oversample.method == "imblearn":
        synthetic = tables.read_table(spark, location(config, "synthetic"))
        words += _sampler_words(made.measures, synthetic, encoder.label.classes)
    return _finish(
        spark,
        config,
        run,
        {"synthetic": written.rows, **rows},
        "synthetic",
        written,
        started=started,
        words="\n".join([*words, *(f"no rows made: {reason}" for reason in made.left_out)]),
        measures=made.measures,
    )


def _words(measures: dict[str, Any]) -> list[str]:
    """How many of the true neighbours are found, where it is not all."""
    return [
        f"{name if name == 'cleaning' else f'class {name}'}: {found['recall']:.3f} of the true neighbours found, "
        f"in {found['cells']:,} cells"
        for name, found in measures.items()
        if found.get("neighbors", "exact") != "exact"
    ]


def _sampler_words(measures: dict[str, Any], synthetic: DataFrame, classes: tuple[str, ...]) -> list[str]:
    """Where the sampler worked, and how many of the rows are SMOTE's because it refused a cell or made too few."""
    counted = synthetic.where(F.col("method") == "smote").groupBy("label").count().collect()
    by_smote = {classes[row["label"]]: row["count"] for row in counted}
    lines = []
    for name, found in measures.items():
        if "sampler" not in found:
            continue
        cells = "one cell" if found["cells"] == 1 else f"{found['cells']:,} cells"
        line = f"class {name}: {found['sampler']} in {cells}"
        if found["kept_of_others"] < 1:
            line += f", which see {found['kept_of_others']:.1%} of the rows of other classes"
        if name in by_smote:
            line += f"; {by_smote[name]:,} rows are smote's, where it refused a cell or made too few"
        lines.append(line)
    return lines


def _check_parents(spark: SparkSession, config: Config) -> None:
    """The proof of rule 1: every parent is a train row."""
    strangers = spark.sql(
        """
        SELECT count(*) AS strangers FROM
          (SELECT base_row_id AS parent FROM {synthetic} UNION ALL SELECT neighbor_row_id FROM {synthetic}) AS parents
        LEFT ANTI JOIN {features} AS train ON train.row_id = parents.parent AND train.split = 'train'
        """,
        synthetic=tables.read_table(spark, location(config, "synthetic")).where(incremental.own_rows(config) or "true"),
        features=tables.read_table(spark, location(config, "features")),
    ).first()
    assert strangers is not None
    if strangers["strangers"]:
        raise DataError(
            f"{strangers['strangers']} parents in {location(config, 'synthetic')} are no train rows of "
            f"{location(config, 'features')}; run prepare and oversample again"
        )


def evaluate_stage(spark: SparkSession, config: Config) -> StageReport:
    """features, synthetic, refined → metrics and the report."""
    started = time.monotonic()
    wanted = {"features"} | {made_table(strategy) for strategy in config.evaluate.strategies} - {""}
    wanted |= {"removed"} if config.oversample.removes else set()
    read = {
        name: incremental.so_far(tables.read_table(spark, location(config, name)), config) for name in sorted(wanted)
    }
    run = stage_run(config, "evaluate", {name: _input(spark, config, name) for name in read})
    recorded = _recorded(spark, config, run)
    page = f"{config.run.warehouse}/report/{run.run_id}.html"
    if recorded is not None:
        verdict = tables.newest_notes(spark, location(config, "metrics"), run.run_id).get("verdict", "")
        told = f"{verdict}\nReport: {page}"
        return StageReport(stage="evaluate", rows=_counts(recorded["row_counts"]), unchanged=True, verdict=told)
    encoder = read_encoder(spark, config)
    evaluation = evaluate(
        read["features"],
        read.get("synthetic"),
        read.get("refined"),
        encoder,
        config.evaluate,
        run_id=run.run_id,
        random_state=config.run.random_state,
        removed=read.get("removed"),
        cards=_cards(spark, config),
    )
    contract = contracts.metrics()
    rows = spark.createDataFrame(evaluation.metrics, tables.schema_of(contract))
    written = tables.write_table(
        rows,
        contract,
        location(config, "metrics"),
        run,
        replace_where=f"run_id = '{run.run_id}'",
        verdict=evaluation.verdict,
    )
    # The page comes before the note that the stage is done, so that a crash between the two makes it again.
    _write_report(spark, config, run, encoder, evaluation, page)
    return _finish(
        spark,
        config,
        run,
        {"metrics": written.rows},
        "metrics",
        written,
        started=started,
        verdict=f"{evaluation.verdict}\nReport: {page}",
    )


def _write_report(
    spark: SparkSession, config: Config, run: StageRun, encoder: Encoder, evaluation: Evaluation, page: str
) -> None:
    data = ReportData(
        evaluation=evaluation,
        encoder=encoder,
        run_id=run.run_id,
        config_hash=run.config_hash,
        random_state=run.random_state,
        seeds=config.evaluate.seeds,
        bootstrap=config.evaluate.bootstrap,
        table_versions=run.inputs,
        library_versions=library_versions(),
        training=_training(spark, config, run),
        set_aside=_set_aside(spark, config, run),
    )
    if "://" in page:
        tables.write_text(spark, page, render_report(data))
    else:
        write_report(page, data)


def _set_aside(spark: SparkSession, config: Config, run: StageRun) -> dict[str, dict[str, int]]:
    """What the stages so far noted of rows and values that were not clean."""
    notes = tables.read_table(spark, location(config, "runs")).where(F.col("run_id") == run.run_id)
    found: dict[str, dict[str, int]] = {}
    for row in notes.orderBy("stage").select("row_counts").collect():
        found |= {name: counts for name, counts in json.loads(row["row_counts"]).items() if isinstance(counts, dict)}
    return found


def _training(spark: SparkSession, config: Config, run: StageRun) -> dict[str, Any]:
    """What refine noted of its model, or nothing."""
    notes = tables.read_table(spark, location(config, "runs"))
    row = notes.where((F.col("run_id") == run.run_id) & (F.col("stage") == "refine")).select("measures").first()
    found: dict[str, Any] = json.loads(row["measures"]) if row and row["measures"] else {}
    return found


def _cards(spark: SparkSession, config: Config) -> DataFrame | None:
    """row_id, entity and day of the raw rows, for card precision; None where the configuration names no entity."""
    if not config.evaluate.entity or not config.source.timestamp:
        return None
    rows = admitted(read_source(spark, config.source), config)
    return rows.where(tables.col(REASON).isNull()).select(
        tables.col(ROW_ID).alias("row_id"),
        tables.col(config.evaluate.entity).alias("entity"),
        F.to_date(tables.col(config.source.timestamp)).alias("day"),
    )


def publish_stage(spark: SparkSession, config: Config) -> StageReport:
    """Raw table, synthetic and refined → augmented."""
    started = time.monotonic()
    source = config.publish.source
    made_name = made_table(source)
    own = incremental.own_rows(config)
    made = tables.read_table(spark, location(config, made_name)).where(own or "true")
    raw = read_source(spark, config.source)
    inputs: dict[str, str | int] = {
        "source": source_identity(spark, config.source),
        made_name: _input(spark, config, made_name),
        "features": _input(spark, config, "features"),
    }
    if config.oversample.removes:
        inputs["removed"] = tables.table_version(spark, location(config, "removed"))
    run = stage_run(config, "publish", inputs)
    if report := _done(spark, config, run, "augmented"):
        return report
    encoder = read_encoder(spark, config)
    if source == "refined":
        parents = tables.read_table(spark, location(config, "synthetic")).select(
            F.col("row_id").alias("synthetic_row_id"), "base_row_id"
        )
        made = made.join(parents, "synthetic_row_id", "left")
    features = tables.read_table(spark, location(config, "features"))
    passed = admitted(raw, config).where(tables.col(REASON).isNull()).drop(REASON, COMPLETE)
    if own:
        # Without those that an earlier run had brought already.
        passed = passed.join(features.where(own).select(F.col("row_id").alias(ROW_ID)), ROW_ID, "left_semi")
    valid = valid_rows(made, passed, features, encoder, config)
    out = valid.rows
    taken_out = {}
    if config.publish.originals != "none":
        originals = passed
        if config.publish.originals == "train":
            train = features.where(F.col("split") == "train").select(F.col("row_id").alias(ROW_ID))
            originals = passed.join(train, ROW_ID, "left_semi")
        if config.oversample.removes:
            removed = tables.read_table(spark, location(config, "removed"))
            taken_out = {TAKEN_OUT: removed.count()}
            originals = originals.join(removed.select(F.col("row_id").alias(ROW_ID)), ROW_ID, "left_anti")
        out = as_originals(originals, encoder, run.run_id).unionByName(out)
    contract = contracts.augmented(tables.raw_columns(raw_schema(encoder)), OVERSAMPLERS)
    written = tables.write_table(
        out, contract, location(config, "augmented"), run, replace_where=own, measures=valid.measures
    )
    valid.release()
    augmented = tables.read_table(spark, location(config, "augmented")).where(own or "true")
    by_origin = {row["origin"]: int(row["count"]) for row in augmented.groupBy("origin").count().collect()}
    copies = valid.n_made - sum(valid.left_out.values()) - by_origin.get(source, 0)
    rows = {"augmented": written.rows, **by_origin, COPIES: copies, **valid.left_out, **taken_out}
    return _finish(
        spark,
        config,
        run,
        rows,
        "augmented",
        written,
        started=started,
        words=valid.words(),
        measures=valid.measures,
    )


SPARK_STAGES: dict[str, Callable[[SparkSession, Config], StageReport]] = {
    "simulate": simulate_stage,
    "prepare": prepare_stage,
    "oversample": oversample_stage,
    "evaluate": evaluate_stage,
    "publish": publish_stage,
}
"""Every stage but refine, which runs under torchrun."""

"""prepare: raw table → features, quarantine, encoder."""

import json
from concurrent.futures import ThreadPoolExecutor

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from raresmith.config import Config
from raresmith.spark import incremental, tables
from raresmith.spark.prepare.prepare import Prepared, prepare
from raresmith.spark.prepare.source import is_unreadable, read_source, unreadable
from raresmith.spark.stages import ledger
from raresmith.spark.stages.context import Context
from raresmith.spark.stages.preflight import check_columns
from raresmith.tables import contracts
from raresmith.tables.stage_report import StageReport
from raresmith.tables.stage_run import StageRun


def prepare_stage(spark: SparkSession, config: Config) -> StageReport:
    """Judge, split and encode the raw table."""
    try:
        return _prepare(Context(spark=spark, config=config))
    except (PySparkException, Py4JJavaError) as error:
        if is_unreadable(error):  # a broken file shows only when a task comes to it
            raise unreadable(error, config.source) from None
        raise


def _prepare(ctx: Context) -> StageReport:
    raw = read_source(ctx.spark, ctx.config.source)
    check_columns(ctx.config, raw.schema)
    kept = incremental.kept_encoder(ctx.spark, ctx.config, raw.schema)
    run = ctx.prepare_run()
    if report := ledger.done(ctx, run):
        return report
    prepared = prepare(raw, ctx.config, kept, ctx.other_features())
    quarantined = _write_others(ctx, run, prepared, is_fitted=kept is None)
    written = ctx.write(
        prepared.features.select("*", F.lit(run.run_id).alias("run_id")),
        contracts.features(prepared.encoder),
        run,
        **prepared.notes,
    )
    prepared.release()
    rows = {"features": written.rows, "quarantine": quarantined}
    return ledger.finish(ctx, run, written, rows, reasons=prepared.set_aside(), words=prepared.words())


def _write_others(ctx: Context, run: StageRun, prepared: Prepared, *, is_fitted: bool) -> int:
    """Write quarantine, and the encoder where it was fitted; return the rows in quarantine."""
    columns = tables.raw_columns(prepared.raw_schema)
    quarantine = prepared.quarantine.select("*", F.lit(run.run_id).alias("run_id"))
    # Each takes Delta a second of waiting, which two at once share.
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(ctx.write, quarantine, contracts.quarantine(columns), run)
        if is_fitted:
            settings = json.dumps(incremental.settings(ctx.config))
            document = [(run.run_id, prepared.encoder.to_json(), settings)]
            fitted = ctx.spark.createDataFrame(document, "run_id string, document string, settings string")
            # Its one row replaces that of any run before.
            pool.submit(ctx.write, fitted, contracts.encoder(), run, "").result()
        return writing.result().rows

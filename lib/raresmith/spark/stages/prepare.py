"""prepare: raw table → features, quarantine, encoder."""

import json
from concurrent.futures import ThreadPoolExecutor

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from raresmith.checks.features import data_warnings
from raresmith.checks.warning import DataWarning, told
from raresmith.spark import incremental, tables
from raresmith.spark.columns import raw_columns
from raresmith.spark.prepare.looked_at import beside, some_train_rows
from raresmith.spark.prepare.prepare import Prepared, prepare
from raresmith.spark.source.read import check_unchanged, read_told, source_identity
from raresmith.spark.stages import ledger
from raresmith.spark.stages.context import Context, stage
from raresmith.spark.stages.preflight import check_columns
from raresmith.tables import contracts
from raresmith.tables.stage_report import StageReport
from raresmith.tables.stage_run import StageRun


@stage
def prepare_stage(ctx: Context) -> StageReport:
    """Judge, split and encode the raw table."""
    source = source_identity(ctx.spark, ctx.config.source)
    raw, how_read = read_told(ctx.spark, ctx.config.source, source)
    check_columns(ctx.unrecorded, raw.schema)
    kept = incremental.kept_encoder(ctx.spark, ctx.config, raw.schema)
    run = ctx.run("prepare", source=source)
    if report := ledger.done(ctx, run, "quarantine", "encoder"):
        return report
    prepared = prepare(raw, ctx.config, kept, ctx.other_features())
    quarantined = _write_others(ctx, run, prepared, is_fitted=kept is None)
    # It was read several times by now, and must have been the same each time.
    check_unchanged(ctx.spark, ctx.config.source, source)
    written = ctx.write(
        prepared.features.select("*", F.lit(run.run_id).alias("run_id")),
        contracts.features(prepared.encoder),
        run,
    )
    prepared.release()
    warnings = _warnings(ctx, prepared, raw, written.rows)
    rows = {"features": written.rows, "quarantine": quarantined}
    measures = {**prepared.measures, **({"warnings": [w.document() for w in warnings]} if warnings else {})}
    words = [*how_read, *filter(None, [prepared.words()]), *told(warnings)]
    reasons = prepared.set_aside()
    return ledger.finish(ctx, run, written, rows, reasons=reasons, measures=measures, words="\n".join(words))


def _warnings(ctx: Context, prepared: Prepared, raw: DataFrame, n_rows: int) -> list[DataWarning]:
    """What is odd in some of the train rows that were written."""
    encoder = prepared.encoder
    found = some_train_rows(ctx.read_own("features"), encoder, prepared.split)
    of_raw = beside(raw, found, encoder, ctx.config)
    return data_warnings(found, of_raw, encoder, n_rows=n_rows, split=prepared.split, repeated=prepared.repeated)


def _write_others(ctx: Context, run: StageRun, prepared: Prepared, *, is_fitted: bool) -> int:
    """Write quarantine, and the encoder where it was fitted; return the rows in quarantine."""
    columns = raw_columns(prepared.raw_schema)
    quarantine = prepared.quarantine.select("*", F.lit(run.run_id).alias("run_id"))
    settings = json.dumps(incremental.settings(ctx.config))  # all are read before the first table names the run
    # Each takes Delta a second of waiting, which two at once share.
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(ctx.write, quarantine, contracts.quarantine(columns), run)
        if is_fitted:
            document = [(run.run_id, prepared.encoder.to_json(), settings)]
            fitted = ctx.spark.createDataFrame(document, "run_id string, document string, settings string")
            # Its one row replaces that of any run before.
            pool.submit(tables.replace_rows, fitted, contracts.encoder(), ctx.location("encoder"), run).result()
        return writing.result().rows

"""evaluate: features, synthetic, refined → metrics and the report."""

from dataclasses import replace
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from raresmith.encoding.encoder import Encoder
from raresmith.evaluation.verdict import Evaluation
from raresmith.report.page import ReportData, render_report, write_report
from raresmith.spark import tables
from raresmith.spark.columns import ROW_ID, col
from raresmith.spark.evaluate.evaluate import evaluate
from raresmith.spark.evaluate.strategies import made_table
from raresmith.spark.files import write_text
from raresmith.spark.stages import ledger
from raresmith.spark.stages.context import Context, stage
from raresmith.spark.stages.passed import passed_rows, prepared_source
from raresmith.tables import contracts
from raresmith.tables.concurrency import despite_others
from raresmith.tables.row_counts import told_reasons
from raresmith.tables.split_counts import SplitCounts
from raresmith.tables.stage_report import StageReport
from raresmith.tables.stage_run import StageRun, library_versions


@stage
def evaluate_stage(ctx: Context) -> StageReport:
    """Judge the made rows on the test rows."""
    settings = ctx.config.evaluate
    made = {made_table(strategy) for strategy in settings.strategies} - {""}
    names = sorted({"features", *made, *(["removed"] if ctx.config.oversample.removes else [])})
    inputs = ctx.inputs(*names)
    raw = {"source": prepared_source(ctx)} if settings.entity and ctx.config.source.timestamp else {}
    run = ctx.run("evaluate", **inputs, **raw)
    page = f"{ctx.config.run.warehouse}/report/{run.run_id}.html"
    condition = f"run_id = '{run.run_id}'"  # figures of other runs lie beside these
    if report := ledger.done(ctx, run, condition=condition):
        return _with_page(report, page)
    encoder = ctx.encoder()
    read = {name: ctx.read_so_far(name) for name in names}
    evaluation = evaluate(
        read["features"],
        read.get("synthetic"),
        read.get("refined"),
        encoder,
        settings,
        run_id=run.run_id,
        random_state=run.random_state,
        removed=read.get("removed"),
        cards=_cards(ctx, raw["source"]) if raw else None,
    )
    contract = contracts.metrics()
    rows = ctx.spark.createDataFrame(evaluation.metrics, tables.schema_of(contract))
    written = despite_others(lambda: ctx.write(rows, contract, run, condition))
    # The page comes before the note that the stage is done, so that a crash between the two makes it again.
    _write_report(ctx, run, names, encoder, evaluation, page)
    measures = {"near_duplicates": evaluation.near_duplicates._asdict()}
    counts = {"metrics": written.rows}
    report = ledger.finish(ctx, run, written, counts, measures=measures, verdict=evaluation.verdict)
    return _with_page(report, page)


def _with_page(report: StageReport, page: str) -> StageReport:
    # Not noted with the verdict: a warehouse may be moved.
    return replace(report, verdict=f"{report.verdict}\nReport: {page}")


def _cards(ctx: Context, source: str) -> DataFrame:
    """row_id, entity and day of the rows of the raw table `source`, for card precision."""
    return passed_rows(ctx, source).select(
        col(ROW_ID).alias("row_id"),
        col(ctx.config.evaluate.entity).alias("entity"),
        F.to_date(col(ctx.config.source.timestamp)).alias("day"),
    )


def _warnings(measures: dict[str, Any]) -> list[str]:
    """What `prepare` found odd."""
    return [*SplitCounts.of(measures).far_shares(), *(warning["says"] for warning in measures.get("warnings", ()))]


def _write_report(
    ctx: Context, run: StageRun, read: list[str], encoder: Encoder, evaluation: Evaluation, page: str
) -> None:
    data = ReportData(
        evaluation=evaluation,
        encoder=encoder,
        run_id=run.run_id,
        config_hash=run.config_hash,
        random_state=run.random_state,
        seeds=ctx.config.evaluate.seeds,
        bootstrap=ctx.config.evaluate.bootstrap,
        table_versions={name: run.inputs[name] for name in read},
        library_versions=library_versions(),
        training=ctx.notes.get("refine", {}).get("measures") or {},
        set_aside=told_reasons(ledger.reasons_so_far(ctx)),
        warnings=_warnings(ctx.notes.get("prepare", {}).get("measures") or {}),
    )
    if "://" in page:
        write_text(ctx.spark, page, render_report(data))
    else:
        write_report(page, data)

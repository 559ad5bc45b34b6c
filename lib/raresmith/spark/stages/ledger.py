"""What the table `runs` knows: which stages are done, on what, and what they counted and measured."""

import json
import time
from typing import Any

from pyspark.sql import functions as F

from raresmith.spark import tables
from raresmith.spark.stages.context import Context
from raresmith.tables import contracts
from raresmith.tables.concurrency import despite_others
from raresmith.tables.stage_report import StageReport
from raresmith.tables.stage_run import StageRun, trace_of

MAIN_TABLE = {"prepare": "features", "oversample": "synthetic", "evaluate": "metrics", "publish": "augmented"}
"""The table that a stage writes last: where it names a run, the others are there as well."""


def noted(ctx: Context, stage: str) -> dict[str, Any] | None:
    """The note that `stage` is done in this run, its documents read; or None. It may be of other inputs or settings."""
    if not ctx.exists("runs"):
        return None
    row = ctx.read("runs").where((F.col("run_id") == ctx.config.run_id) & (F.col("stage") == stage)).first()
    if row is None:
        return None
    documents = {name: json.loads(row[name]) for name in ("inputs", "row_counts")}
    return {**row.asDict(), **documents, **trace_of(row.asDict())}


def recorded(ctx: Context, run: StageRun) -> dict[str, Any] | None:
    """The note that `run` is done, or None."""
    note = noted(ctx, run.stage)
    return note if note is not None and run.made(note) else None


def unchanged(note: dict[str, Any], verdict: str = "") -> StageReport:
    """The report of a stage that was done before."""
    rows = {key: count for key, count in note["row_counts"].items() if isinstance(count, int)}
    return StageReport(stage=note["stage"], rows=rows, unchanged=True, verdict=verdict)


def done(ctx: Context, run: StageRun, *beside: str) -> StageReport | None:
    """The report of a stage whose main table was made by an equal run, and the tables `beside` it with it; or None."""
    table = MAIN_TABLE[run.stage]
    location = ctx.location(table)
    if ctx.own:
        # The newest commit may be another day's, so the rows themselves are held against the note of them.
        note = recorded(ctx, run)
        if note is None or not ctx.exists(table):
            return None
        return unchanged(note) if tables.hash_of(ctx.spark, location, ctx.own) == note["content_hash"] else None
    commit = tables.newest_note(ctx.spark, location)
    # Who changed a setting, and back again after the stage was ended in between, has the others of another setting.
    others = (tables.newest_note(ctx.spark, ctx.location(other)).get("fingerprint") for other in beside)
    if not run.made(commit) or any(fingerprint != commit["fingerprint"] for fingerprint in others):
        return None
    if note := recorded(ctx, run):
        return unchanged(note)
    # The process ended between the table's commit and the note of it: only the note is missing.
    run.goes_on_from(commit)
    written = tables.read_back(ctx.spark, location, run)
    measures = commit.get("notes", {}).get("measures")
    return finish(ctx, run, written, {table: written.rows}, measures=measures)


def finish(
    ctx: Context,
    run: StageRun,
    written: tables.Written,
    rows: dict[str, int],
    *,
    reasons: dict[str, dict[str, int]] | None = None,
    measures: dict[str, Any] | None = None,
    words: str = "",
    verdict: str = "",
) -> StageReport:
    """Note in `runs` that the stage is done, and report.

    Parameters
    ----------
    written
        What lies in the main table.
    rows, reasons
        By the keys of `raresmith.tables.row_counts`: numbers, and numbers by reason.
    words, verdict
        As in `StageReport`.
    """
    seconds = time.monotonic() - ctx.started
    contract = contracts.runs()
    row = run.note(
        table=MAIN_TABLE[run.stage],
        version=written.version,
        row_counts={**rows, **(reasons or {})},
        seconds=seconds,
        content_hash=written.content_hash,
        measures=measures,
    )
    note = ctx.spark.createDataFrame([tuple(row[c.name] for c in contract.columns)], tables.schema_of(contract))
    condition = f"run_id = '{run.run_id}' AND stage = '{run.stage}'"
    location = ctx.location(contract.name)
    despite_others(lambda: tables.replace_rows(note, contract, location, run, replace_where=condition))
    return StageReport(stage=run.stage, rows=rows, seconds=seconds, words=words, verdict=verdict)


def reasons_so_far(ctx: Context, run_id: str) -> dict[str, dict[str, int]]:
    """What the stages so far noted of rows and values that were not clean."""
    notes = ctx.read("runs").where(F.col("run_id") == run_id).orderBy("stage").select("row_counts").collect()
    counts = [json.loads(note["row_counts"]) for note in notes]
    return {key: found for each in counts for key, found in each.items() if isinstance(found, dict)}


def measures_of(ctx: Context, run_id: str, stage: str) -> dict[str, Any]:
    """What `stage` noted of itself, or nothing."""
    of_stage = (F.col("run_id") == run_id) & (F.col("stage") == stage)
    row = ctx.read("runs").where(of_stage).select("measures").first()
    return dict(json.loads(row["measures"])) if row and row["measures"] else {}

"""What the table `runs` knows: which stages are done, on what, and what they counted, measured and said.

A stage that `runs` does not tell of is gone through from its beginning. Where it was ended after some of its tables
were written, it comes to the same rows, leaves those that are there as they are, and counts the same on its way. So
there is one way to all that is noted, whether a process was ended on it or not.
"""

import time
from typing import Any

from raresmith.spark import tables
from raresmith.spark.stages.context import Context
from raresmith.tables import contracts
from raresmith.tables.concurrency import despite_others
from raresmith.tables.stage_report import StageReport
from raresmith.tables.stage_run import StageRun, read_note

MAIN_TABLE = {"prepare": "features", "oversample": "synthetic", "evaluate": "metrics", "publish": "augmented"}
"""The table that a stage writes last."""


def recorded(ctx: Context, run: StageRun) -> dict[str, Any] | None:
    """The note that `run` is done, or None."""
    note = ctx.notes.get(run.stage)
    return note if note is not None and run.made(note) else None


def done(ctx: Context, run: StageRun, *beside: str, condition: str = "") -> StageReport | None:
    """The report of a stage that an equal run has noted, whose main table it made, and the tables `beside`; or None.

    `condition` is that of the run's rows in the main table, by default its own where they lie beside those of others.
    """
    note, main, condition = recorded(ctx, run), MAIN_TABLE[run.stage], condition or ctx.own
    if note is None or not ctx.exists(main):
        return None
    if condition:
        # The newest commit may be another run's, so the rows themselves are held against the note of them.
        is_there = tables.hash_of(ctx.spark, ctx.location(main), condition) == note["content_hash"]
    else:
        # One that was ended since, under other settings, may have left some of its own.
        commits = (tables.newest_note(ctx.spark, ctx.location(table)) for table in (main, *beside))
        is_there = all(commit.get("fingerprint") == note["fingerprint"] for commit in commits)
    return StageReport.of(note, unchanged=True) if is_there else None


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
    contract = contracts.runs()
    row = run.note(
        table=MAIN_TABLE[run.stage],
        version=written.version,
        row_counts={**rows, **(reasons or {})},
        seconds=time.monotonic() - ctx.started,
        content_hash=written.content_hash,
        measures=measures,
        words=words,
        verdict=verdict,
    )
    note = ctx.spark.createDataFrame([tuple(row[c.name] for c in contract.columns)], tables.schema_of(contract))
    condition = f"run_id = '{run.run_id}' AND stage = '{run.stage}'"
    location = ctx.location(contract.name)
    despite_others(lambda: tables.replace_rows(note, contract, location, run, replace_where=condition))
    return StageReport.of(read_note(row))


def reasons_so_far(ctx: Context) -> dict[str, dict[str, int]]:
    """What the stages so far noted of rows and values that were not clean."""
    counts = [note["row_counts"] for _, note in sorted(ctx.notes.items())]
    return {key: found for each in counts for key, found in each.items() if isinstance(found, dict)}

"""What a finished `refine` left in the tables, for the trainer itself and for whoever started it; needs no torch."""

import json
import time
from typing import Any

from raresmith.config import Config
from raresmith.gan.data import tables
from raresmith.gan.folder import open_folder
from raresmith.gan.models.guarantee import Guarantee
from raresmith.tables.content_hash import rows_of
from raresmith.tables.stage_report import StageReport
from raresmith.tables.stage_run import StageRun

LEFT_OUT = "left out: refine makes all its rows anew, and run.incremental leaves those of other days as they are"
MEASURED = (
    "model",
    "step",
    "kept",
    "loss_names",
    "losses",
    "look_names",
    "looks",
    "synthetic",
    "ceiling",
    "left_out",
    "differential_privacy",
)
"""What `runs.measures` has of the model's card, for the report."""


def is_done(config: Config, run: StageRun) -> bool:
    """Whether the newest rows of `refined` were made by an equal run, and the model is the one that made them."""
    return run.made(tables.newest_note(tables.location(config, "refined"))) and _has_its_model(config, run)


def _has_its_model(config: Config, run: StageRun) -> bool:
    """Whether no run of other settings, which was ended before it made rows, left its own model; or there is none."""
    if "model" in run.inputs:  # by which the rows are made without training
        return True
    try:
        return run.made(json.loads(open_folder(tables.model_location(config)).read("model.json")))
    except FileNotFoundError:
        return True
    except ValueError:
        return False


def is_finished(config: Config, run: StageRun) -> bool:
    """Whether `is_done`, and noted in `runs` too: there is nothing left to do."""
    return is_done(config, run) and tables.recorded(config, run) is not None


def note_done(config: Config, run: StageRun, content_hash: str, started: float) -> None:
    """Note the stage in `runs`; `started` is of time.monotonic().

    All that it counted and said is told by the commit of its rows and the model's card, so that a process which was
    ended in between loses nothing.
    """
    rows = rows_of(content_hash)
    card = json.loads(open_folder(tables.model_location(config)).read("model.json")) if rows > 0 else {}
    measures = {name: card[name] for name in MEASURED if name in card}
    counts = tables.newest_note(tables.location(config, "refined"))["notes"]
    tables.note_run(
        config,
        run,
        "refined",
        row_counts={"refined": rows},
        seconds=time.monotonic() - started,
        content_hash=content_hash,
        measures=measures,
        words=_words(rows, counts, measures),
    )


def _words(rows: int, counts: dict[str, int], measures: dict[str, Any]) -> str:
    if rows == 0:
        return "synthetic holds no rows, so there was nothing to refine"
    lines = [
        f"{counts['clamped']:,} of {counts['numbers']:,} numbers lay outside the range of the train rows "
        "and were set to its end"
    ]
    if copies := counts["copies"]:
        lines.append(f"rows that equal a train row however often they are made anew: {copies:,}")
    if kept := measures.get("kept"):
        lines.append(kept)
    if spent := measures.get("differential_privacy"):
        lines.append(f"training was differentially private: {Guarantee(**spent)}")
    return "\n".join(lines)


def report(config: Config, run: StageRun, *, unchanged: bool = False) -> StageReport:
    """The report of the finished stage, as `runs` tells it."""
    note = tables.recorded(config, run)
    assert note is not None
    return StageReport.of(note, unchanged=unchanged)

"""What a finished `refine` left in the tables, for the trainer itself and for whoever started it; needs no torch."""

import json
import time

from raresmith.config import Config
from raresmith.gan.data import tables
from raresmith.gan.folder import open_folder
from raresmith.gan.models.guarantee import Guarantee
from raresmith.tables.stage_report import StageReport
from raresmith.tables.stage_run import StageRun

LEFT_OUT = "left out: refine makes all its rows anew, and run.incremental leaves those of other days as they are"
MEASURED = ("model", "step", "kept", "loss_names", "losses", "look_names", "looks", "synthetic", "differential_privacy")
"""What `runs.measures` has of the model's card, for the report."""


def is_done(config: Config, run: StageRun) -> bool:
    """Whether the newest rows of `refined` were made by an equal run."""
    return run.made(tables.newest_note(tables.location(config, "refined")))


def is_finished(config: Config, run: StageRun) -> bool:
    """Whether `is_done`, and noted in `runs` too: there is nothing left to do."""
    return is_done(config, run) and tables.recorded(config, run) is not None


def note_done(config: Config, run: StageRun, content_hash: str, started: float) -> None:
    """Note the stage in `runs`, with what the model's card tells of its training; `started` is of time.monotonic()."""
    table = tables.read_table(tables.location(config, "refined"))
    rows = int(tables.query(table, "SELECT count(*) AS n FROM t").read_all()["n"][0].as_py())
    card = json.loads(open_folder(tables.model_location(config)).read("model.json")) if rows > 0 else {}
    measures = {name: card[name] for name in MEASURED if name in card}
    seconds = time.monotonic() - started
    tables.note_run(config, run, {"refined": rows}, "refined", content_hash, seconds, measures)


def report(config: Config, run: StageRun, *, unchanged: bool = False) -> StageReport:
    """The report of the finished stage, as its tables tell it."""
    note = tables.recorded(config, run)
    assert note is not None
    rows = json.loads(note["row_counts"])
    said = tables.newest_note(tables.location(config, "refined")).get("notes", {})
    if rows["refined"] == 0:
        words = "synthetic holds no rows, so there was nothing to refine"
    else:
        words = (
            f"{said['clamped']:,} of {said['numbers']:,} numbers lay outside the range of the train rows "
            "and were set to its end"
        )
        if copies := said.get("copies"):
            words += f"\n{copies:,} rows equal a train row however often they are made anew"
        measures = json.loads(note["measures"] or "{}")
        if kept := measures.get("kept"):
            words += f"\n{kept}"
        if spent := measures.get("differential_privacy"):
            words += f"\ntraining was differentially private: {Guarantee(**spent)}"
    return StageReport(stage="refine", rows=rows, seconds=note["seconds"], unchanged=unchanged, words=words)

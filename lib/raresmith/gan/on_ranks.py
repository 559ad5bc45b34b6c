"""A stage that processes do together: the same run on all of them, done once and noted once."""

from collections.abc import Callable

import torch

from raresmith.config import Config
from raresmith.gan.data import tables
from raresmith.gan.generation.refined_table import refined_hash
from raresmith.gan.ranks import Process
from raresmith.gan.training import stage
from raresmith.tables.stage_report import StageReport
from raresmith.tables.stage_run import StageRun


def agreed_run(config: Config, process: Process, identity: Callable[..., StageRun]) -> StageRun:
    """The run that `identity`, of `tables`, makes of the tables' versions that the first rank sees."""
    found = identity(config).inputs if process.first else {"features": 0, "synthetic": 0}
    versions = torch.tensor([found["features"], found["synthetic"]], device=process.device)
    return identity(config, *process.share(versions).tolist())


def done_before(config: Config, run: StageRun, process: Process, started: float) -> StageReport | None:
    """The report of `run` if its rows are there already; `started` is of time.monotonic()."""
    if not process.agree(process.first and stage.is_done(config, run)):
        return None
    if process.first and tables.recorded(config, run) is None:
        # The process ended between the table's commit and the note of it: only the note is missing.
        stage.note_done(config, run, refined_hash(config), started)
    process.wait()
    return stage.report(config, run, unchanged=True)


def done_now(config: Config, run: StageRun, process: Process, started: float) -> StageReport:
    """Note that the rows of `run` are there now; return its report."""
    if process.first:
        stage.note_done(config, run, refined_hash(config), started)
    process.wait()
    return stage.report(config, run)

"""The stage `refine` as ranks do it together: on the same versions of its tables, done once and noted once."""

import dataclasses
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, Self

import torch
from deltalake import DeltaTable

from raresmith.config import Config
from raresmith.encoding.encoder import Encoder
from raresmith.gan.data import tables
from raresmith.gan.data.batches import RowIndex, read_row_index
from raresmith.gan.data.hashes import content_hash
from raresmith.gan.data.tables import RowSource
from raresmith.gan.folder import Folder, open_folder
from raresmith.gan.ranks import Ranks
from raresmith.gan.stage import ledger
from raresmith.generators.base import Generator
from raresmith.generators.registry import GENERATORS
from raresmith.tables.stage_report import StageReport
from raresmith.tables.stage_run import StageRun


@dataclasses.dataclass(frozen=True, eq=False)
class Stage:
    """The stage as one rank sees it; what it reads is read when it is first asked for."""

    ranks: Ranks
    run: StageRun
    started: float
    """By time.monotonic()."""
    begun: str = dataclasses.field(init=False)
    """The run's fingerprint as it begins, before any rank has read more of the configuration than the others."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "begun", self.run.fingerprint)

    @property
    def config(self) -> Config:
        """The configuration, which notes what the stage reads of it."""
        return self.run.config

    @classmethod
    def begin(cls, config: Config, ranks: Ranks, identity: Callable[..., StageRun]) -> Self:
        """The stage by the run that `identity`, of `tables`, makes of the versions that the main rank sees."""
        started = time.monotonic()
        found = identity(config).inputs if ranks.is_main else {"features": 0, "synthetic": 0}
        versions = torch.tensor([found["features"], found["synthetic"]], device=ranks.device)
        return cls(ranks, identity(config, *ranks.broadcast(versions).tolist()), started)

    def done_before(self) -> StageReport | None:
        """The report, if the rows are there already."""
        if not self.ranks.agree(self.ranks.is_main and ledger.is_done(self.config, self.run)):
            return None
        if self.ranks.is_main and tables.recorded(self.config, self.run) is None:
            # The process ended between the table's commit and the note of it: only what comes after is missing.
            self._note()
        self.ranks.barrier()
        return ledger.report(self.config, self.run, unchanged=True)

    def done_now(self) -> StageReport:
        """Note that the rows are there now; return the report."""
        if self.ranks.is_main:
            self._note()
        self.ranks.barrier()
        return ledger.report(self.config, self.run)

    def _note(self) -> None:
        """Do all that comes after the commit of the rows."""
        self.staging.delete_all("")
        self.run.goes_on_from(tables.newest_note(tables.location(self.config, "refined")))
        refined = tables.read_table(tables.location(self.config, "refined"))
        tables.name_run(refined, self.run)
        ledger.note_done(self.config, self.run, content_hash(tables.query(refined, "SELECT * FROM t")), self.started)

    @property
    def spec(self) -> type[Generator]:
        """The generator of the configuration."""
        return GENERATORS[self.config.refine.model]

    @cached_property
    def parameters(self) -> Any:
        """The generator's own settings."""
        return self.config.refine.parameters

    @property
    def model_folder(self) -> Folder:
        """Where the run's model and its checkpoints lie."""
        return open_folder(tables.model_location(self.config))

    @cached_property
    def staging(self) -> Folder:
        """Where made rows wait until those of all ranks are there."""
        return open_folder(f"{tables.model_location(self.config)}/staging")

    @cached_property
    def encoder(self) -> Encoder:
        """Of the features."""
        return tables.read_encoder(self.config)

    @cached_property
    def features(self) -> DeltaTable:
        """The table at the run's version."""
        return tables.read_table(tables.location(self.config, "features"), int(self.run.inputs["features"]))

    @cached_property
    def synthetic(self) -> RowSource:
        """The rows of the table at the run's version."""
        return RowSource(
            tables.read_table(tables.location(self.config, "synthetic"), int(self.run.inputs["synthetic"]))
        )

    @cached_property
    def synthetic_index(self) -> RowIndex:
        """Of all rows of `synthetic`."""
        return read_row_index(self.synthetic)

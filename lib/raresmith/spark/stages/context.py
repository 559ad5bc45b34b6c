"""What every stage of a run works with: the session, the configuration, and the tables of the warehouse."""

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from raresmith.config import Config
from raresmith.encoding.encoder import Encoder
from raresmith.errors import DataError, EngineError, StorageError
from raresmith.spark import incremental, tables
from raresmith.spark.content_hash import content_hash
from raresmith.spark.failures import remedy, storage_failure
from raresmith.spark.files import Folder
from raresmith.spark.source.read import is_unreadable, unreadable
from raresmith.spark.stages.small_tables import settings_by_size
from raresmith.tables import commits
from raresmith.tables.concurrency import despite_others
from raresmith.tables.contracts import Table
from raresmith.tables.lease import under_way
from raresmith.tables.stage_report import StageReport
from raresmith.tables.stage_run import StageRun, read_note, refuse_other_encoder, refuse_others, refuse_unnoted


@dataclass(frozen=True, kw_only=True)
class Context:
    """One stage at work."""

    spark: SparkSession
    config: Config
    """One that notes what the stage reads of it, made of the one that is given."""
    unrecorded: Config = field(init=False)
    """The one that is given, for checks that decide no row."""
    started: float = field(default_factory=time.monotonic)
    taken: dict[str, tables.Snapshot] = field(default_factory=dict)
    """The tables that are inputs, as they were when the stage began: so they are read, whatever others write since."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "unrecorded", self.config)
        object.__setattr__(self, "config", self.config.recording())

    @property
    def own(self) -> str:
        """SQL condition of the run's own rows, where they lie beside those of other runs; else ""."""
        return incremental.own_rows(self.config)

    def location(self, table: str) -> str:
        """Where the table called `table` lies."""
        return f"{self.config.run.warehouse}/{table}"

    def exists(self, table: str) -> bool:
        """Whether there is a table called `table`."""
        return tables.table_exists(self.spark, self.location(table))

    def read(self, table: str) -> DataFrame:
        """All rows of `table`; DataError where there is none."""
        taken = self.taken.get(table)
        return tables.read_table(self.spark, self.location(table), taken.newest if taken else None)

    def read_own(self, table: str) -> DataFrame:
        """The rows that this run wrote."""
        return self.read(table).where(self.own or "true")

    def read_so_far(self, table: str) -> DataFrame:
        """The rows of this run and of earlier days."""
        return incremental.so_far(self.read(table), self.config)

    @cached_property
    def notes(self) -> dict[str, dict[str, Any]]:
        """By stage what `runs` has of this run, as it was when it was first asked for.

        It may be of other inputs or settings.
        """
        if not self.exists("runs"):
            return {}
        rows = self.read("runs").where(F.col("run_id") == self.unrecorded.run_id).collect()
        return {row["stage"]: read_note(row.asDict()) for row in rows}

    def encoder(self) -> Encoder:
        """The fitted encoder of the warehouse; DataError where it is not that of the features taken."""
        if "features" in self.taken and not self.config.run.incremental:
            note = tables.newest_note(self.spark, self.location("encoder"))
            refuse_other_encoder(self.unrecorded, self.taken["features"].note, note)
        row = self.read("encoder").select("document").first()
        if row is None:
            raise DataError(f"the encoder table at {self.location('encoder')} is empty; run prepare again")
        return Encoder.from_json(row["document"])

    def write(self, rows: DataFrame, contract: Table, run: StageRun, condition: str | None = None) -> tables.Written:
        """Replace the rows of `contract` that meet `condition`, by default the run's own; empty means all."""
        replaced = self.own if condition is None else condition
        return tables.write_table(rows, contract, self.location(contract.name), run, replace_where=replaced)

    def inputs(self, *read: str) -> dict[str, str | int]:
        """By table what changes when the rows that are `read` do; from here on they are read as they are now.

        Raises
        ------
        DataError
            If the rows there are not this run's, or not those that `runs` tells of.
        """
        return {name: value for table in read for name, value in self._take(table).items()}

    def _take(self, table: str) -> Mapping[str, str | int]:
        """The newest commit of `table`, or a hash of the days so far."""
        self.taken[table] = taken = tables.snapshot(self.spark, self.location(table))
        if not self.config.run.incremental:
            refuse_others(self.unrecorded, table, taken.note)
            refuse_unnoted(self.unrecorded, table, taken.note, self.notes)
            return commits.identity(table, taken.changed)
        stage = {"features": "prepare", "synthetic": "oversample"}[table]
        hashes = incremental.hashes_so_far(self.read("runs"), stage, self.config)
        if content_hash(self.read_own(table).drop("run_id")) != hashes[self.config.run_id]:
            raise DataError(
                f"{self.location(table)} does not hold the rows that {stage} of the run {self.config.run_id} wrote; "
                f"run {stage} again, and give runs of another run.name a run.warehouse of their own"
            )
        return {table: incremental.identity_of(hashes)}

    def run(self, stage: str, **inputs: str | int) -> StageRun:
        """The identity of `stage` on `inputs`."""
        return StageRun(config=self.config, stage=stage, inputs=inputs)

    def other_features(self) -> DataFrame | None:
        """The features of all other runs that this one must leave alone, or None."""
        if not self.config.run.incremental or not self.exists("features"):
            return None
        return self.read("features").where(F.col("run_id") != self.config.run_id)


def stage(work: Callable[[Context], StageReport]) -> Callable[[SparkSession, Config], StageReport]:
    """`work` as a stage of SPARK_STAGES: all that it is given of the configuration notes what it reads.

    Where another process changed a table in the meantime, it begins again with the tables as they are then.
    """

    name = work.__name__.removesuffix("_stage")

    @functools.wraps(work)
    def begun(spark: SparkSession, config: Config) -> StageReport:
        warehouse = Folder(spark, config.run.warehouse)
        try:
            with settings_by_size(spark, config), under_way(warehouse, config.run_id, name):
                return despite_others(lambda: work(Context(spark=spark, config=config)))
        except (PySparkException, Py4JJavaError) as error:
            if is_unreadable(error, config):  # a file that is broken or gone shows only when a task comes to it
                raise unreadable(error, config.source) from None
            if told := remedy(error):
                raise EngineError(told) from error
            if cause := storage_failure(error):
                raise StorageError.of(name, cause) from error
            raise

    return begun

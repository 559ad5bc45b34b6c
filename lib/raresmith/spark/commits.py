"""What the log of a Delta table says of its commits, read as the files that it consists of.

Delta's own history answers by a query each time, which takes longer than a small table's rows do. Source: the
transaction protocol of Delta, "Delta Log Entries" and "Commit Provenance Information".
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from pyspark.sql import SparkSession

from raresmith.spark import files
from raresmith.tables.stage_run import ROWS_STAY, note_of

_COMMIT = re.compile(r"\d{20}\.json")


class Commit(NamedTuple):
    """One commit, as who made it tells."""

    version: int
    operation: str
    metrics: dict[str, Any]
    metadata: str
    """The user metadata, or nothing."""

    @property
    def changes_rows(self) -> bool:
        """Whether the rows after it are others than before."""
        return self.operation not in ROWS_STAY

    @property
    def note(self) -> dict[str, Any]:
        """What a stage run left in it; or nothing."""
        return note_of(self.metadata)

    @property
    def rows(self) -> int | None:
        """How many rows it wrote, those that it copied with them, where it tells."""
        said = self.metrics.get("numOutputRows")
        return None if said is None else int(said)


def newest_first(spark: SparkSession, location: str) -> Iterator[Commit]:
    """The commits of the table at `location` of which its log still tells; each is read when it is asked for."""
    log = f"{location}/_delta_log"
    names = [name for name in files.names_in(spark, log) if _COMMIT.fullmatch(name)]
    for name in sorted(names, reverse=True):
        yield _read(spark, f"{log}/{name}", int(name.removesuffix(".json")))


def _read(spark: SparkSession, url: str, version: int) -> Commit:
    for line in files.lines_of(spark, url):
        # Spark tells first who made the commit, delta-rs may do so last.
        if '"commitInfo"' in line and (info := json.loads(line).get("commitInfo")) is not None:
            metrics = info.get("operationMetrics") or {}
            return Commit(version, info.get("operation") or "", metrics, info.get("userMetadata") or "")
    return Commit(version, "", {}, "")

"""The commits of a Delta table, as either engine reads them, and what the stages left in them."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from raresmith.tables.stage_run import StageRun, note_of

ROWS_STAY = frozenset(
    {
        *("ADD CONSTRAINT", "DROP CONSTRAINT", "SET TBLPROPERTIES", "UNSET TBLPROPERTIES", "UPGRADE PROTOCOL"),
        *("OPTIMIZE", "REORG", "CLUSTER BY", "VACUUM START", "VACUUM END"),
    }
)
"""Operations of Delta tables that change no row: none of them makes a stage's input another one."""


class Commit(NamedTuple):
    """One commit, as who made it tells."""

    version: int
    timestamp: int
    """Milliseconds since 1970. A table that was deleted counts its versions from 0 again; this tells them apart."""
    operation: str
    metrics: dict[str, Any]
    metadata: str
    """The user metadata, or nothing."""

    @classmethod
    def of(cls, version: int, info: dict[str, Any]) -> "Commit":
        """What `info`, the table's log, says of the commit of `version`."""
        metrics = info.get("operationMetrics") or {}
        time, operation = int(info.get("timestamp") or 0), info.get("operation") or ""
        return cls(version, time, operation, metrics, info.get("userMetadata") or "")

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
        """How many rows it wrote, without those that it copied, where it tells."""
        without_files = "0" if self.metrics.get("numFiles") == "0" else None
        said = self.metrics.get("numOutputRows", without_files)
        return None if said is None else int(said) - int(self.metrics.get("numCopiedRows", 0))


def last_change(newest_first: Iterable[Commit]) -> Commit | None:
    """The newest commit that changed rows."""
    return next((commit for commit in newest_first if commit.changes_rows), None)


def identity(table: str, commit: Commit) -> dict[str, int]:
    """What a stage that reads `table` as `commit` left it names among its inputs."""
    return {table: commit.version, f"{table} committed": commit.timestamp}


def newest_note(newest_first: Iterable[Commit]) -> dict[str, Any]:
    """What the newest stage run left in the commit of its rows; or nothing."""
    return next((commit.note for commit in newest_first if commit.note), {})


def made_last(newest_first: Iterable[Commit], run: StageRun) -> bool:
    """Whether the newest commit that changed rows is an equal run's, which had read as much as `run`."""
    commit = last_change(newest_first)
    return commit is not None and commit.note.get("fingerprint") == run.fingerprint

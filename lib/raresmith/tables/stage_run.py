"""The identity of a stage of a run: what makes two executions the same, and how a table remembers it."""

import hashlib
import json
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raresmith.config import Config

# The sections that decide each stage's rows. What is not here (run.warehouse, spark, evaluate for prepare, ...) may
# change without the stage being done again.
STAGE_SECTIONS: dict[str, tuple[str, ...]] = {
    "simulate": ("simulate",),
    "prepare": ("source", "split", "prepare"),
    "oversample": ("oversample",),
    "refine": ("refine",),
    "evaluate": ("evaluate",),
    "publish": ("publish",),
}


ROWS_STAY = frozenset(
    {
        *("ADD CONSTRAINT", "DROP CONSTRAINT", "SET TBLPROPERTIES", "UNSET TBLPROPERTIES", "UPGRADE PROTOCOL"),
        *("OPTIMIZE", "REORG", "CLUSTER BY", "VACUUM START", "VACUUM END"),
    }
)
"""Operations of Delta tables that change no row: none of them makes a stage's input another one."""
COMMITS = (20, None)
"""How many of the newest commits are looked through first; then all."""


@dataclass(frozen=True, kw_only=True)
class StageRun:
    """One stage of one run on given inputs; equal fingerprints promise equal rows."""

    run_id: str
    stage: str
    config_hash: str
    random_state: int
    inputs: dict[str, str | int] = field(default_factory=dict)
    """Version of each table read; for plain files a hash of their names, sizes and times."""

    @property
    def fingerprint(self) -> str:
        """Hex digest of 32 digits over everything that decides the rows."""
        document = [self.run_id, self.stage, self.config_hash, self.random_state, sorted(self.inputs.items())]
        return hashlib.sha256(json.dumps(document).encode()).hexdigest()[:32]

    def app_id(self, table: str) -> str:
        """Delta transaction application of this stage's write to `table`."""
        return f"raresmith/{table}/{self.stage}/{self.run_id}/{self.config_hash}"

    def commit_metadata(self, **notes: Any) -> str:
        """The commit's user metadata: JSON that names run, stage and fingerprint, and `notes`."""
        document = {
            "run_id": self.run_id,
            "stage": self.stage,
            "fingerprint": self.fingerprint,
            "config_hash": self.config_hash,
            **({"notes": notes} if notes else {}),
        }
        return json.dumps(document, sort_keys=True)

    def note(
        self,
        *,
        table: str,
        version: int,
        row_counts: dict[str, Any],
        seconds: float,
        content_hash: str,
        measures: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The row of `runs` for this stage, done in `seconds`, whose main `table` is at `version`."""
        return {
            "run_id": self.run_id,
            "stage": self.stage,
            "fingerprint": self.fingerprint,
            "config_hash": self.config_hash,
            "random_state": self.random_state,
            "versions": json.dumps(library_versions()),
            "inputs": json.dumps(self.inputs),
            "outputs": json.dumps({table: version}),
            "row_counts": json.dumps(row_counts),
            "measures": json.dumps(measures or {}),
            "seconds": seconds,
            "content_hash": content_hash,
        }


def stage_run(config: "Config", stage: str, inputs: dict[str, str | int]) -> StageRun:
    """The identity of `stage` under `config` on `inputs`."""
    return StageRun(
        run_id=config.run_id,
        stage=stage,
        config_hash=config.hash(*STAGE_SECTIONS[stage]),
        random_state=config.run.random_state,
        inputs=inputs,
    )


def fingerprint_of(metadata: str | None) -> str | None:
    """The fingerprint in a commit's user metadata, or None where the commit is not one of ours."""
    try:
        found = json.loads(metadata or "")["fingerprint"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(found)


def library_versions() -> dict[str, str]:
    """Versions of the installed libraries that decide what comes out."""
    found = {}
    arrays = ("numpy", "numba", "pyarrow", "scikit-learn", "imbalanced-learn")
    for name in ("raresmith", "pyspark", "delta-spark", "torch", "deltalake", *arrays):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

"""The identity of a stage of a run: what makes two executions the same, and how a table remembers it.

What a stage takes from the configuration is not listed anywhere: it is noted while the stage works, and stands beside
the fingerprint of what it made. The next run asks whether the same keys still have the same values (verifying traces:
Mokhov, Mitchell and Peyton Jones 2018, doi:10.1145/3236774). That is enough, for a stage that finds the same inputs and
the same values goes the same way and reads nothing else.
"""

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from raresmith.errors import DataError, Key

if TYPE_CHECKING:
    from raresmith.config import Config


@dataclass(frozen=True, kw_only=True)
class StageRun:
    """One stage of one run on given inputs: at work, or asking what was made before.

    What was read of the configuration belongs to it, so its fingerprint goes on as the stage works. Equal executions
    read in the same order, and have the same one at the same place.
    """

    config: "Config"
    """What `Config.recording` returned, where the stage is at work."""
    stage: str
    inputs: dict[str, str | int] = field(default_factory=dict)
    """Version of each table read; for plain files a hash of their names, sizes and times."""

    @property
    def run_id(self) -> str:
        """Name of the run and its logical date."""
        return self.config.run_id

    @property
    def random_state(self) -> int:
        """Seed of the run."""
        return self.config.run.random_state

    @property
    def config_hash(self) -> str:
        """Hex digest of 16 digits over what was read of the configuration so far."""
        return _digest(self.config.values(self.config.read_so_far()))[:16]

    @property
    def fingerprint(self) -> str:
        """Hex digest of 32 digits over everything that decides the rows made so far."""
        return self._fingerprint(self.config.read_so_far())

    def _fingerprint(self, read: Iterable[str]) -> str:
        return _digest([self.run_id, self.stage, self.config.values(read), sorted(self.inputs.items())])[:32]

    def trace(self) -> dict[str, Any]:
        """What is noted beside all that the stage makes, for `made` to ask later."""
        read = self.config.read_so_far()
        return {"fingerprint": self._fingerprint(read), "settings": read}

    def made(self, note: Mapping[str, Any]) -> bool:
        """Whether an equal run made what stands beside `note`, which has its trace; earlier versions left none."""
        settings = note.get("settings")
        return settings is not None and note["fingerprint"] == self._fingerprint(settings)

    def goes_on_from(self, note: Mapping[str, Any]) -> None:
        """Count what was read for what stands beside `note` as read here, where it is used instead of being made."""
        self.config.count_as_read(note["settings"])

    def app_id(self, table: str) -> str:
        """Delta transaction application of this stage's write to `table`."""
        return f"raresmith/{table}/{self.stage}/{self.run_id}/{self.fingerprint}"

    def commit_metadata(self, **notes: Any) -> str:
        """The commit's user metadata: JSON that names run, stage and fingerprint, and `notes`; no two are the same."""
        document = {
            "commit": uuid.uuid4().hex,  # tells it from that of an equal run at the same time
            "run_id": self.run_id,
            "stage": self.stage,
            **self.trace(),
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
        words: str = "",
        verdict: str = "",
    ) -> dict[str, Any]:
        """The row of `runs` for this stage, done in `seconds`, whose main `table` is at `version`."""
        trace = self.trace()
        return {
            "run_id": self.run_id,
            "stage": self.stage,
            "fingerprint": trace["fingerprint"],
            "config_hash": self.config_hash,
            "random_state": self.random_state,
            "versions": json.dumps(library_versions()),
            "inputs": json.dumps(self.inputs),
            "outputs": json.dumps({table: version}),
            "row_counts": json.dumps(row_counts),
            "measures": json.dumps(measures or {}),
            "seconds": seconds,
            "content_hash": content_hash,
            "settings": json.dumps(trace["settings"]),
            "words": words,
            "verdict": verdict,
        }


_DOCUMENTS = ("versions", "inputs", "outputs", "row_counts", "measures", "settings")


def read_note(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `runs` with its documents read; what an earlier version did not note is None, or not there."""
    return {**row, **{name: json.loads(row[name] or "null") for name in _DOCUMENTS if name in row}}


def note_of(metadata: str | None) -> dict[str, Any]:
    """What a commit's user metadata says of the stage run that made it; nothing where the commit is not one of ours."""
    try:
        found = json.loads(metadata or "")
    except ValueError:
        return {}
    return found if isinstance(found, dict) and "fingerprint" in found else {}


def refuse_others(config: "Config", table: str, note: Mapping[str, Any]) -> None:
    """Stop where `note`, of the newest rows of `table`, says that another run wrote them.

    Raises
    ------
    DataError
        Naming that run and what to do.
    """
    if note.get("run_id", config.run_id) != config.run_id:
        raise DataError(
            "{table} in {warehouse} was written by {stage} of the run {other}, not of the run {own}; give each run a "
            "{warehouse_key} of its own, or go on with those rows by its {name_key} and logical date, or run {stage} "
            "again",
            table=table,
            warehouse=config.run.warehouse,
            stage=note["stage"],
            other=note["run_id"],
            own=config.run_id,
            warehouse_key=Key("run.warehouse"),
            name_key=Key("run.name"),
        )


def refuse_unnoted(config: "Config", table: str, note: Mapping[str, Any], noted: Mapping[str, Any]) -> None:
    """Stop where `noted`, by stage what `runs` has of the run, is not about the newest rows of `table`, with `note`.

    What was counted of others, or nothing, would be told of them.

    Raises
    ------
    DataError
        If the stage that wrote them was ended before it noted itself.
    """
    if note and noted.get(note["stage"], {}).get("fingerprint") != note["fingerprint"]:
        raise DataError(
            f"{note['stage']} was ended between its rows in {table} of {config.run.warehouse} and its note in runs of "
            f"what it counted; run {note['stage']} again"
        )


def refuse_other_encoder(config: "Config", features: Mapping[str, Any], encoder: Mapping[str, Any]) -> None:
    """Stop where the notes of `features` and `encoder` are not of one run of prepare.

    Raises
    ------
    DataError
        If another run wrote the encoder, or prepare was ended after it and before the features.
    """
    refuse_others(config, "encoder", encoder)
    if features.get("fingerprint") != encoder.get("fingerprint"):
        raise DataError(
            f"the features in {config.run.warehouse} were not encoded by the encoder there, for prepare was ended in "
            "between; run prepare again"
        )


def _digest(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


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

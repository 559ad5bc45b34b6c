"""Day by day: what an incremental run takes from the runs before it, and which rows are its own."""

import hashlib
import json
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import Config
from raresmith.encoding.encoder import Encoder
from raresmith.errors import ConfigError, DataError
from raresmith.spark import tables
from raresmith.spark.columns import MALFORMED, col
from raresmith.spark.encoding.decode import decode
from raresmith.spark.source.read import drift


def own_rows(config: Config) -> str:
    """SQL condition of the rows that a run writes, where they lie beside those of other runs; else ""."""
    return f"run_id = '{config.run_id}'" if config.run.incremental else ""


def so_far(rows: DataFrame, config: Config) -> DataFrame:
    """The rows of this run and of earlier days: what came later does not count, so an old day can be run again."""
    # A name and ISO dates, so the order of the texts is that of the days.
    return rows.where(F.col("run_id") <= config.run_id) if config.run.incremental else rows


def hashes_so_far(runs: DataFrame, stage: str, config: Config) -> dict[str, str]:
    """By run id the content hash of what `stage` wrote, in this run and on earlier days.

    Raises
    ------
    DataError
        If the stage is not done in this run.
    """
    noted = so_far(runs, config).where(F.col("stage") == stage).select("run_id", "content_hash").collect()
    hashes = {row["run_id"]: row["content_hash"] for row in noted}
    if config.run_id not in hashes:
        raise DataError(f"{stage} of the run {config.run_id} is not done; run {stage} for that day first")
    return hashes


def identity_of(hashes: dict[str, str]) -> str:
    """What changes when one of the `hashes` of runs does."""
    return hashlib.sha256(json.dumps(sorted(hashes.items())).encode()).hexdigest()[:16]


def settings(config: Config) -> dict[str, Any]:
    """What must be the same for all runs that share an encoder."""
    found = {
        "run.name": config.run.name,
        "run.random_state": config.run.random_state,
        "run.incremental": config.run.incremental,
        "evaluate.positive": config.evaluate.positive,
    }
    for section in ("source", "split", "prepare"):
        for name, value in getattr(config, section).document().items():
            found[f"{section}.{name}"] = value
    del found["source.path"]  # each day has its own
    # As they are once they were written.
    return dict(json.loads(json.dumps(found)))


def kept_encoder(spark: SparkSession, config: Config, raw: t.StructType) -> Encoder | None:
    """The encoder that earlier runs of an incremental series fitted; None where this run is the first.

    A first run that is done again before another one came fits the encoder again, for nothing hangs on it yet.

    Raises
    ------
    ConfigError
        If the encoder was fitted under other settings.
    DataError
        If the raw table's columns are not those that the encoder was fitted on.
    """
    location = f"{config.run.warehouse}/encoder"
    if not config.run.incremental or not tables.table_exists(spark, location):
        return None
    row = tables.read_table(spark, location).first()
    if row is None or "settings" not in row:
        raise ConfigError(f"the tables in {config.run.warehouse} are no incremental run's; take another run.warehouse")
    if row["run_id"] == config.run_id and not _has_other_runs(spark, config):
        return None
    fitted, asked = json.loads(row["settings"]), settings(config)
    # A key that the version which fitted it did not have yet cannot be set back.
    if differing := [name for name in asked if name in fitted and asked[name] != fitted[name]]:
        changes = "; ".join(f"{name} was {fitted[name]!r} and is {asked[name]!r}" for name in differing)
        raise ConfigError(
            f"the encoder in {config.run.warehouse} was fitted by the run {row['run_id']} under other settings: "
            f"{changes}; set them back or take another run.warehouse"
        )
    encoder = Encoder.from_json(row["document"])
    found = t.StructType([f for f in raw.fields if f.name != MALFORMED])
    if faults := drift(found, t.StructType.fromJson(json.loads(encoder.raw_schema))):
        raise DataError(
            f"the columns of {config.source.path} differ from those that the encoder was fitted on by the run "
            f"{row['run_id']}: {'; '.join(faults)}; mend the table, name its types in source.schema where it is CSV, "
            "JSON or Excel, or take another run.warehouse"
        )
    return encoder


def _has_other_runs(spark: SparkSession, config: Config) -> bool:
    """Whether another run wrote rows here; a run writes to one of these tables at least."""
    return any(
        tables.table_exists(spark, location)
        and not tables.read_table(spark, location).where(F.col("run_id") != config.run_id).isEmpty()
        for location in (f"{config.run.warehouse}/{name}" for name in ("features", "quarantine"))
    )


def with_earlier_originals(originals: DataFrame, features: DataFrame, encoder: Encoder, config: Config) -> DataFrame:
    """`originals` and the rows of earlier days, decoded from `features`, for made rows to be held against.

    Of the columns that features come from. Where calendar features are made the moment counts too, and no row of
    another day can equal one of this.
    """
    if config.prepare.calendar:
        return originals
    earlier = so_far(features, config).where(F.col("run_id") != config.run_id)
    # Within the train range, as made rows are.
    decoded = decode(earlier, encoder, clamp=True)
    names = [col(name) for name in decoded]
    return originals.select(*names).unionByName(earlier.select(*[c.alias(name) for name, c in decoded.items()]))

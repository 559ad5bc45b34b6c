"""The session's settings follow the size of the raw table, and what a user told stands."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from raresmith.config import load_config
from raresmith.spark.stages.small_tables import SETTINGS, SMALL, settings_by_size

CONFIG = """
[run]
name = "r"
warehouse = "w"
[source]
path = "raw"
label = "y"
"""
ADAPTIVE = "spark.sql.adaptive.enabled"


def found(spark: SparkSession) -> dict[str, str | None]:
    return {key: spark.conf.get(key, None) for key in SETTINGS}


def under(spark: SparkSession, folder: Path, text: str = CONFIG) -> dict[str, str | None]:
    """The settings while a stage works on the raw table in `folder`."""
    (folder / "c.toml").write_text(text)
    with settings_by_size(spark, load_config(folder / "c.toml")):
        return found(spark)


def test_settings_are_those_of_small_tables_up_to_their_size_only(spark: SparkSession, tmp_path: Path) -> None:
    before = found(spark)
    assert before != SETTINGS
    assert under(spark, tmp_path) == before  # nothing is there yet
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.parquet").write_bytes(bytes(SMALL - 1))
    assert under(spark, tmp_path) == SETTINGS
    assert found(spark) == before
    (tmp_path / "raw" / "b.parquet").write_bytes(bytes(2))
    assert under(spark, tmp_path) == before
    assert under(spark, tmp_path, CONFIG.replace('"raw"', '"raw/a*"')) == SETTINGS


def test_what_a_user_told_stands_and_a_failure_leaves_nothing(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(b"x")
    before = found(spark)
    told = under(spark, tmp_path, CONFIG + f'[spark.conf]\n"{ADAPTIVE}" = "true"\n')
    assert told == {**SETTINGS, ADAPTIVE: before[ADAPTIVE]}
    with pytest.raises(RuntimeError), settings_by_size(spark, load_config(tmp_path / "c.toml")):
        raise RuntimeError
    assert found(spark) == before


def test_a_raw_table_that_cannot_be_listed_stops_no_stage(spark: SparkSession, tmp_path: Path) -> None:
    before = found(spark)
    assert under(spark, tmp_path, CONFIG.replace('"raw"', '"nosuch://raw"')) == before

"""The session's settings follow the size of the raw table, and what a user told stands."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from raresmith.config import load_config
from raresmith.spark.stages import SPARK_STAGES
from raresmith.spark.stages.small_tables import SETTINGS, SMALL, settings_by_size
from raresmith.spark.tables import read_table

CONFIG = """
[run]
name = "r"
warehouse = "w"
[source]
path = "raw"
label = "y"
"""
SPARKS_OWN = {
    "spark.sql.codegen.wholeStage": "true",
    "spark.sql.codegen.factoryMode": "FALLBACK",
    "spark.sql.adaptive.enabled": "true",
    "spark.databricks.delta.stats.skipping": "true",
    "spark.sql.ui.explainMode": "formatted",
}
SHORT = """
key = ["id"]
timestamp = "at"
[prepare]
calendar = ["hour"]
[evaluate]
strategies = ["none", "smote"]
bootstrap = 20
[evaluate.classifiers.random_forest]
num_trees = 3
max_depth = 4
[publish]
source = "smote"
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


def test_a_wide_table_is_small_by_its_columns(spark: SparkSession, tmp_path: Path) -> None:
    columns = [f"string(xxhash64(id, {i})) x{i}" for i in range(40)]
    rows = spark.range(5000).selectExpr("id", "int(id % 6 = 0) y", *columns)
    before = found(spark)
    for name, kept in (("wide", rows), ("narrow", rows.select("id", "y", F.concat(*rows.columns[2:]).alias("x")))):
        kept.coalesce(1).write.parquet(str(tmp_path / name))
        assert sum(file.stat().st_size for file in (tmp_path / name).glob("*.parquet")) > SMALL
        wanted = SETTINGS if name == "wide" else before
        assert under(spark, tmp_path, CONFIG.replace('"raw"', f'"{name}"')) == wanted


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


def test_rows_are_the_same_under_both_settings(spark: SparkSession, tmp_path: Path) -> None:
    rows = spark.range(600).selectExpr(
        "id", "timestamp_seconds(1.7e9 + id * 4321) at", "sin(id) * 1e3 x", "id / 7.0D z", "int(id % 6 = 0) y",
        "concat('c', id % 5) kind", "IF(id % 9 = 0, NULL, id % 40) age",
    )  # fmt: skip
    rows.coalesce(2).write.parquet(str(tmp_path / "raw"))
    (tmp_path / "c.toml").write_text(CONFIG + SHORT)
    told = "".join(f'"{key}" = "{value}"\n' for key, value in SPARKS_OWN.items())
    (tmp_path / "large.toml").write_text(CONFIG.replace('"w"', '"large"') + SHORT + f"[spark.conf]\n{told}")
    assert SPARKS_OWN.keys() == SETTINGS.keys()
    hashes = []
    for name in ("c.toml", "large.toml"):
        config = load_config(tmp_path / name)
        for stage in ("prepare", "oversample", "evaluate", "publish"):
            SPARK_STAGES[stage](spark, config)
        runs = read_table(spark, f"{config.run.warehouse}/runs").select("stage", "content_hash")
        hashes.append({row["stage"]: row["content_hash"] for row in runs.collect()})
    assert len(hashes[0]) == 4
    assert hashes[0] == hashes[1]

"""Values that are far away, old or oddly called come out as they went in; made rows lie among the ordinary ones."""

import datetime as dt
import json
import math
import shutil
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.readers import misread

from raresmith.config import Config, parse_config
from raresmith.spark.stages import SPARK_STAGES
from raresmith.spark.stages.context import Context
from raresmith.spark.tables import read_table

FAR = {9: 1e30, 27: -1e30, 90: 1.2345678901234567e30, 500: 1e308}
"""Amounts out of all proportion by id: of two train rows, of a test row, and one that no 32-bit float has room for."""
MOMENTS = (
    dt.datetime(1500, 1, 1, tzinfo=dt.UTC),
    dt.datetime(1677, 1, 1, tzinfo=dt.UTC),
    dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC),
)
ODD = "named_struct('a b', id, 'c.d', map('x', array(named_struct('e`f', string(id)))))"


@pytest.fixture(scope="module")
def finished(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, dict[str, str]]:
    """A run up to publish, and what its stages said."""
    folder = tmp_path_factory.mktemp("values")
    far = " ".join(f"WHEN {row_id} THEN {amount!r}D" for row_id, amount in FAR.items())
    seen = [f"TIMESTAMP'{moment.replace(tzinfo=None)}'" for moment in MOMENTS]
    spark.range(900).selectExpr(
        "id",
        f"CASE id {far} ELSE id / 100D END AS amount",
        "timestamp_micros((id * 37 % 9000 - 14000) * 86400000000) AS born",
        "10000000000000000 * 100 + id * 7 AS account",
        "CAST(id * 1.37 AS DECIMAL(38, 18)) AS fee",
        f"element_at(array({', '.join(seen)}), int(id % 3) + 1) AS seen",
        f"{ODD} AS `odd one; (x)`",
        "concat('k', id % 3) AS `kind, of x`",
        "int(id % 9 = 0) AS y",
    ).write.parquet(str(folder / "raw"))
    document: dict[str, Any] = {
        "run": {"name": "values", "warehouse": str(folder / "warehouse")},
        "source": {"path": str(folder / "raw"), "label": "y", "key": ["id"], "ignore": ["odd one; (x)", "seen"]},
        "oversample": {"sampling_strategy": 1.0},
        "publish": {"source": "smote"},
    }
    config = parse_config(document, folder / "values.toml")
    return config, {stage: SPARK_STAGES[stage](spark, config).words for stage in ("prepare", "oversample", "publish")}


def test_amounts_out_of_all_proportion_stay_and_are_counted_but_nothing_is_made_of_them(
    spark: SparkSession, finished: tuple[Config, dict[str, str]]
) -> None:
    config, words = finished
    assert "outlier amount (3)" in words["prepare"]
    assert "infinite amount (1)" in words["prepare"]
    noted = read_table(spark, f"{config.run.warehouse}/runs").where("stage = 'prepare'").first()
    assert noted is not None
    assert json.loads(noted["row_counts"])["winsorised"] == {"outlier:amount": 3}
    feature = Context(spark=spark, config=config).encoder().features[0]
    assert (feature.name, feature.kind) == ("amount", "numeric")
    encoded = [row["amount"] for row in read_table(spark, f"{config.run.warehouse}/features").collect()]
    # Test rows lie a little beyond the range of the train rows.
    assert max(map(abs, encoded)) < 2
    assert len(set(encoded)) > 890
    augmented = read_table(spark, f"{config.run.warehouse}/augmented")
    originals = {row["id"]: row["amount"] for row in augmented.where("origin = 'original'").collect()}
    assert {row_id: originals[row_id] for row_id in FAR if row_id != 500} == {
        row_id: amount for row_id, amount in FAR.items() if row_id != 500
    }
    made = [row["amount"] for row in augmented.where("origin = 'smote'").collect()]
    assert len(made) > 300
    assert 0 <= min(made) < max(made) <= 8.99
    assert all(math.isclose(amount * 100, round(amount * 100), abs_tol=1e-9) for amount in made)


def test_made_rows_lie_on_the_grid_of_the_real_ones(
    spark: SparkSession, finished: tuple[Config, dict[str, str]]
) -> None:
    augmented = read_table(spark, f"{finished[0].run.warehouse}/augmented")
    off = "born <> date_trunc('DAY', born) OR account NOT BETWEEN 1000000000000000000 AND 1000000000000006293"
    assert augmented.where(f"{off} OR fee <> round(fee, 2) OR fee > 1232").isEmpty()
    assert augmented.where("origin = 'smote'").select("account").distinct().count() > 200


def test_every_reader_finds_what_is_under_odd_names(
    spark: SparkSession, finished: tuple[Config, dict[str, str]]
) -> None:
    config, words = finished
    odd = ["odd one; (x)", "kind, of x"]
    assert f"Delta has to map the names of {odd[0]!r}, {odd[1]!r}: read_delta of polars refuses" in words["publish"]
    augmented = f"{config.run.warehouse}/augmented"
    wanted = read_table(spark, augmented).select(odd[1], "origin").toArrow().to_pylist()
    assert {row["kind, of x"] for row in wanted} == {"k0", "k1", "k2"}
    assert misread(augmented, wanted) == {}
    (set_aside,) = read_table(spark, f"{config.run.warehouse}/quarantine").select("id", odd[1]).toArrow().to_pylist()
    assert set_aside["kind, of x"] == "k2"
    assert misread(f"{config.run.warehouse}/quarantine", [set_aside]) == {}


def test_safe_names_make_a_plain_table_of_the_same_rows(
    spark: SparkSession, finished: tuple[Config, dict[str, str]], tmp_path: Path
) -> None:
    config, _ = finished
    warehouse = shutil.copytree(config.run.warehouse, tmp_path / "warehouse")
    run, publish = config.run.replaced(warehouse=str(warehouse)), config.publish.replaced(names="safe")
    report = SPARK_STAGES["publish"](spark, config.model_copy(update={"run": run, "publish": publish}))
    assert not report.unchanged and "map the names" not in report.words
    location = f"{warehouse}/augmented"
    plain, odd = (read_table(spark, place) for place in (location, f"{config.run.warehouse}/augmented"))
    assert plain.columns[6:9] == ["odd_one___x_", "kind__of_x", "y"]
    assert plain.schema["kind__of_x"].metadata["comment"] == "called 'kind, of x' in the raw table"
    kept = odd.select("account", F.col("`odd one; (x)`.`a b`").alias("a_b"), F.col("`kind, of x`").alias("kind__of_x"))
    renamed = plain.select("account", "odd_one___x_.a_b", "kind__of_x")
    assert kept.exceptAll(renamed).isEmpty() and renamed.exceptAll(kept).isEmpty()
    assert pl.read_delta(location)["kind__of_x"].null_count() == 0


def test_moments_that_nanoseconds_do_not_reach_are_read_by_delta_rs_and_duckdb(
    finished: tuple[Config, dict[str, str]],
) -> None:
    table = DeltaTable(f"{finished[0].run.warehouse}/augmented")
    query = "SELECT DISTINCT seen FROM t ORDER BY seen"
    engine = pa.table(QueryBuilder().register("t", table).execute(query)).column("seen").to_pylist()
    arrow = table.to_pyarrow_table(columns=["seen"]).column("seen").unique().to_pylist()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        of_files = query.replace("FROM t", "FROM read_parquet(?)")
        duck = connection.execute(of_files, [table.file_uris()]).fetch_arrow_table().column("seen").to_pylist()
    assert [*map(tuple, (engine, sorted(arrow), duck))] == [MOMENTS] * 3

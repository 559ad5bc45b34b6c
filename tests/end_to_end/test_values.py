"""Values that are far away, old or oddly called come out as they went in; made rows lie among the ordinary ones."""

import datetime as dt
import json
import math
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder
from pyspark.sql import SparkSession

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
ODD = "named_struct('a-b', id, 'c.d', map('x', array(named_struct('e`f', string(id)))))"


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
        f"{ODD} AS `odd-one.x`",
        "int(id % 9 = 0) AS y",
    ).write.parquet(str(folder / "raw"))
    document: dict[str, Any] = {
        "run": {"name": "values", "warehouse": str(folder / "warehouse")},
        "source": {"path": str(folder / "raw"), "label": "y", "key": ["id"], "ignore": ["odd-one.x", "seen"]},
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


def test_what_is_ignored_comes_along_whatever_its_fields_are_called(
    spark: SparkSession, finished: tuple[Config, dict[str, str]]
) -> None:
    augmented = read_table(spark, f"{finished[0].run.warehouse}/augmented")
    of_parent = ODD.replace("id", "coalesce(id, parent_row_id)")
    assert augmented.where(f"to_json(`odd-one.x`) <> to_json({of_parent}) OR `odd-one.x` IS NULL").isEmpty()


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

"""The log read as files says what Delta's own history says, whoever made the commits."""

from pathlib import Path

import pyarrow as pa
from delta.tables import DeltaTable
from deltalake import CommitProperties, write_deltalake
from pyspark.sql import SparkSession

from raresmith.spark.commits import newest_first


def test_commits_of_spark_and_delta_rs_are_those_of_the_history(spark: SparkSession, tmp_path: Path) -> None:
    location = str(tmp_path / "t")
    rows = spark.range(3)
    rows.write.format("delta").option("userMetadata", '{"fingerprint": "one", "stage": "s"}').save(location)
    noted = CommitProperties(custom_metadata={"userMetadata": '{"fingerprint": "two"}'})
    write_deltalake(location, pa.table({"id": [7, 8]}), mode="append", commit_properties=noted)
    rows.write.format("delta").mode("overwrite").save(location)
    table = DeltaTable.forPath(spark, location)
    spark.sql(f"ALTER TABLE delta.`{location}` SET TBLPROPERTIES ('a.b' = 'c')")
    (tmp_path / "t" / "_delta_log" / "00000000000000000001.00000000000000000002.compacted.json").write_text("{}")
    found = list(newest_first(spark, location))
    history = table.history().select("version", "operation", "userMetadata").collect()
    assert [(c.version, c.operation, c.metadata or None) for c in found] == [tuple(row) for row in history]
    assert [c.version for c in found] == [3, 2, 1, 0]
    assert [c.changes_rows for c in found] == [False, True, True, True]
    assert [c.note.get("fingerprint") for c in found] == [None, None, "two", "one"]
    assert [c.rows for c in found][1::2] == [3, 3]


def test_no_more_of_the_log_is_read_than_is_asked_for(spark: SparkSession, tmp_path: Path) -> None:
    location = str(tmp_path / "t[1] {a}")  # as it stands, though it looks like a glob
    for _ in range(2):
        spark.range(3).write.format("delta").mode("append").save(location)
    (Path(location) / "_delta_log" / "00000000000000000000.json").write_bytes(b"\xff no commit")
    assert next(newest_first(spark, location)).version == 1

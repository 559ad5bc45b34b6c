"""A run whose raw table and warehouse lie in an object store, for Spark by S3A and for the trainer by delta-rs."""

import json
import re
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import boto3
import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder
from pyspark.sql import SparkSession

from raresmith.cli import main
from raresmith.spark.tables import read_table

ODD = "a ü+=*'&;:~😀@!\"$,{}<>()" + 177 * "z"
"""Two hundred characters; those that a warehouse's URL may not have are in tests/config/test_file.py."""
KEYS = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1"}

CONFIG = """
[run]
name = "stored"
warehouse = {warehouse}

[source]
path = "s3a://bucket/raw tables/ü+1"
label = "y"
key = ["id"]

[refine]
steps = 4
validate_every = 2
device = "cpu"

[evaluate]
strategies = ["none", "refined"]
bootstrap = 20
classifiers.random_forest = {{ num_trees = 2, max_depth = 3 }}
"""


@pytest.fixture
def store(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An object store with an empty bucket, which Spark, delta-rs and the processes that a test starts know."""
    # In a process of its own: delta-rs does not let others go on while it waits for an answer.
    words = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0"]
    server = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    url = next(found[0] for line in server.stderr if (found := re.search(r"http://127.0.0.1:\d+", line)))
    Thread(target=deque, args=(server.stderr, 0), daemon=True).start()  # what it goes on to say is in nobody's way
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": url, "AWS_ALLOW_HTTP": "true"}.items():
        monkeypatch.setenv(name, value)
    settings = {
        "endpoint": url,
        "endpoint.region": KEYS["AWS_REGION"],
        "path.style.access": "true",
        "access.key": KEYS["AWS_ACCESS_KEY_ID"],
        "secret.key": KEYS["AWS_SECRET_ACCESS_KEY"],
    }
    for name, value in settings.items():
        spark._jsc.hadoopConfiguration().set(f"fs.s3a.{name}", value)
    boto3.client("s3", region_name=KEYS["AWS_REGION"]).create_bucket(Bucket="bucket")
    yield
    server.kill()
    server.wait()


def test_a_run_goes_through_in_an_object_store_once(
    spark: SparkSession, store: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = ("id", "xxhash64(id) % 10007 / 997.0D AS x", "concat('c', id % 3) AS kind", "id % 10 = 0 AS y")
    spark.range(300).selectExpr(*values).write.parquet("s3a://bucket/raw tables/ü+1")
    config = tmp_path / "run.toml"
    config.write_text(CONFIG.format(warehouse=json.dumps(f"s3a://bucket/{ODD}", ensure_ascii=False)))
    assert main(["run", str(config)]) == 0
    made = pa.table(
        QueryBuilder()
        .register("augmented", DeltaTable(f"s3://bucket/{ODD}/augmented"))
        .execute("SELECT origin, x, kind, y FROM augmented ORDER BY origin, x, kind, y")
    )
    by_spark = read_table(spark, f"s3a://bucket/{ODD}/augmented").select("origin", "x", "kind", "y")
    assert made.to_pylist() == by_spark.orderBy("origin", "x", "kind", "y").toArrow().to_pylist()
    assert Counter(made["origin"].to_pylist()) == {"original": 300, "refined": 144}
    capsys.readouterr()
    for stage in ("prepare", "refine"):
        assert main([stage, str(config)]) == 0
        assert "nothing changed" in capsys.readouterr().out
    # Everything lies where it was told to, and nothing beside it.
    stored = boto3.client("s3").list_objects_v2(Bucket="bucket")["Contents"]
    assert {found["Key"].partition("/")[0] for found in stored} == {ODD, "raw tables"}

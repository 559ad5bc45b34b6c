"""What a user is told where Spark fails: each failure is a real one."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from raresmith.spark.failures import first_cause, is_of_spark, remedy


def failure(work: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as raised:
        work()
    assert is_of_spark(raised.value)
    return raised.value


def raising(error: Exception) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        list(batches)
        raise error

    return work


def in_a_task(spark: SparkSession, error: Exception) -> Exception:
    return failure(lambda: spark.range(1).mapInArrow(raising(error), "id bigint").collect())


@pytest.mark.parametrize(
    ("module", "told"),
    [
        (
            "raresmith.counter_rng",
            "Spark's executors have no raresmith.counter_rng; give the package to spark-submit",
        ),
        ("numba", "the Python of Spark's executors has no numba; install it there, or set PYSPARK_PYTHON"),
    ],
)
def test_executors_without_a_module(spark: SparkSession, module: str, told: str) -> None:
    error = in_a_task(spark, ModuleNotFoundError(f"No module named '{module}'"))
    assert remedy(error).startswith(told)


def test_executors_without_python(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark.sparkContext, "pythonExec", "/nowhere/python")
    error = in_a_task(spark, ValueError())
    assert remedy(error).startswith("Spark cannot start /nowhere/python where its tasks run; set PYSPARK_PYTHON to ")


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("CAST('5,20' AS DOUBLE)", 'The value \'5,20\' of the type "STRING" cannot be cast to "DOUBLE"'),
        ("CAST(300 AS TINYINT)", 'The value 300 of the type "INT" cannot be cast to "TINYINT" due to an overflow.'),
        ("CAST(9223372036854775807 AS BIGINT) + id + 1", ": overflow. "),
    ],
)
def test_a_value_that_is_not_of_its_type(spark: SparkSession, value: str, what: str) -> None:
    error = failure(lambda: spark.range(1).selectExpr(value).collect())
    told = remedy(error)
    assert told.startswith("a value is not of the type that it is read as: ") and what in told
    assert told.endswith(" Name the right one for its column in source.schema") and "try_" not in told


def test_a_delta_table_of_a_later_version(spark: SparkSession, tmp_path: Path) -> None:
    path = str(tmp_path / "t")
    spark.range(1).write.format("delta").save(path)
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["later"], "writerFeatures": ["later"]}
    (tmp_path / "t" / "_delta_log" / f"{1:020}.json").write_text(json.dumps({"protocol": protocol}))
    spark.sql("CLEAR CACHE")
    told = remedy(failure(lambda: spark.read.format("delta").load(path).collect()))
    assert told.startswith("a Delta table has features that this version of Delta does not know: ") and "later" in told


@pytest.mark.parametrize(
    ("kind", "said", "told"),
    [
        ("java.lang.OutOfMemoryError", "Java heap space",
         "Spark's Java ran out of memory; raise spark.driver_memory, on a cluster "),
        ("org.apache.spark.SparkException", "Total size of serialized results of 3 tasks (1.2 GiB) is bigger than "
         "spark.driver.maxResultSize (1024.0 MiB)", "what came back from Spark's tasks is larger than spark"),
        ("org.apache.spark.SparkException", "Job aborted: ExecutorLostFailure (executor 2 exited caused by one of the "
         "running tasks) Reason: Container killed by YARN for exceeding physical memory limits",
         "executors of Spark were lost, as mostly happens where they take more memory than they may; raise "),
        ("org.apache.spark.SparkException", "Not enough memory to build and broadcast the table to all worker nodes.",
         "a table is too large to be sent to all executors; set"),
        ("org.apache.spark.SparkException", "[PYTHON_VERSION_MISMATCH] Python in worker has different version: 3.9 "
         "than that in driver: 3.11", "the Python of Spark's executors is of another version than the driver's; set"),
        ("java.lang.ClassNotFoundException", "org.apache.spark.sql.delta.catalog.DeltaCatalog",
         "Spark has no Delta; leave RARESMITH_DELTA_JARS unset"),
        ("org.apache.spark.SparkException", "All masters are unresponsive! Giving up.",
         "no Spark master answers; see that spark.master is right"),
    ],
)  # fmt: skip
def test_what_would_end_this_java_or_takes_a_cluster(spark: SparkSession, kind: str, said: str, told: str) -> None:
    jvm = spark._jvm
    assert jvm is not None
    future = jvm.java.util.concurrent.CompletableFuture()
    future.completeExceptionally(getattr(jvm, kind)(said))
    assert remedy(failure(future.get)).startswith(told)


def test_java_that_ended_before_spark_began() -> None:
    for log, told in (
        (
            "Error: Could not create the Java Virtual Machine.\nInvalid maximum heap size: -Xmx9999g",
            "Java cannot have as",
        ),
        (
            "::::\n:: unresolved dependency: io.delta#delta-spark_4.2_2.13;4.4.0: not found\n",
            "Spark could not fetch io.",
        ),
    ):
        assert remedy(RuntimeError("[JAVA_GATEWAY_EXITED] Java gateway process exited"), log).startswith(told)


def test_what_there_are_no_words_for_is_told_by_its_first_cause(spark: SparkSession) -> None:
    error = in_a_task(spark, ValueError("something else"))
    assert remedy(error) == "" and "something else" in str(error)
    assert remedy(error, "java.lang.OutOfMemoryError: Java heap space\n") == ""
    assert "PythonException" in first_cause(error) and "\n" not in first_cause(error)
    assert not is_of_spark(ValueError("ours"))

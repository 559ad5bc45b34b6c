"""The narrowest type that holds two others' values."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import types as t

from raresmith.spark.source.wider import wider


@pytest.mark.parametrize(
    ("a", "b", "both"),
    [
        ("int", "bigint", "bigint"),
        ("tinyint", "smallint", "smallint"),
        ("float", "double", "double"),
        ("int", "double", "double"),
        ("smallint", "float", "float"),
        ("int", "float", "double"),
        ("bigint", "double", None),
        ("int", "decimal(10,2)", "decimal(12,2)"),
        ("decimal(10,2)", "decimal(12,6)", "decimal(14,6)"),
        ("decimal(38,2)", "decimal(38,4)", None),
        ("decimal(10,2)", "double", None),
        ("string", "int", None),
        ("date", "timestamp", None),
        ("timestamp", "timestamp_ntz", None),
        ("void", "int", "int"),
    ],
)
def test_wider(spark: SparkSession, a: str, b: str, both: str | None) -> None:  # Spark reads the names of types
    kinds = [t.DataType.fromDDL(kind) for kind in (a, b)]
    for one, other in (kinds, reversed(kinds)):
        found = wider(one, other)
        assert (found.simpleString() if found else None) == both

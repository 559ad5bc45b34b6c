"""The encoder is learnt from train rows, the same however they lie, and refuses what it could not give back."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.spark.encoding.examples import ROWS, SCHEMA, fitted, numbered

from raresmith.config import PrepareConfig
from raresmith.errors import DataError


def test_the_encoder_is_the_same_for_any_partitioning(spark: SparkSession) -> None:
    df = numbered(spark.createDataFrame(ROWS, SCHEMA)).persist()
    config = PrepareConfig(normalise_columns={"a b": "quantile", "f": "robust", "cents": "log"})
    documents = {fitted(df.repartition(n, F.rand(n)), config).to_json() for n in (1, 2, 7)}
    df.unpersist()
    assert len(documents) == 1


def test_cents_and_whole_numbers_in_a_double_column_are_seen(spark: SparkSession) -> None:
    off_in_the_middle = "IF(id = 25, 25.123456D, id * 1.0D)"
    df = numbered(
        spark.range(50).selectExpr(
            "id * 1.0D w", "id / 100.0D c", "id / 7.0D r", "id / 10.0D t", f"{off_in_the_middle} m", "float(id / 8) e"
        )
    )
    steps = {f.name: f.step for f in fitted(df, PrepareConfig()).features if f.kind == "numeric"}
    assert steps == {"w": 1.0, "c": 0.01, "r": 0.0, "t": 0.1, "m": 0.0, "e": 0.001}


def test_spread_that_no_float_holds_is_refused_with_a_remedy(spark: SparkSession) -> None:
    df = numbered(spark.createDataFrame([(1e308,), (-1e308,)], "x double"))
    with pytest.raises(DataError, match=r"column 'x' .* set prepare.normalise_columns.x"):
        fitted(df, PrepareConfig())


def test_integers_too_large_to_come_back_whole_are_refused_as_names(spark: SparkSession) -> None:
    df = numbered(spark.createDataFrame([(2**53 + 1,), (1,)], "x bigint"))
    with pytest.raises(DataError, match=r"'x' .* names rather than quantities"):
        fitted(df, PrepareConfig())


@pytest.mark.parametrize("kind", ["array<double>", "binary"])
@pytest.mark.parametrize("categorical", [(), ("x",)])
def test_a_column_whose_values_text_does_not_give_back_is_refused_by_name(
    spark: SparkSession, kind: str, categorical: tuple[str, ...]
) -> None:
    df = numbered(spark.createDataFrame([(None,)], f"x {kind}"))
    with pytest.raises(DataError, match=f"'x' is of type {kind}, which cannot be a feature; name it in source.ignore"):
        fitted(df, PrepareConfig(categorical=categorical))

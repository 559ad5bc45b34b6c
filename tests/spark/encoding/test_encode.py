"""Encoding is learnt from train rows only, and decoding gives the raw value back."""

import dataclasses
import datetime as dt
import decimal
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import PrepareConfig
from raresmith.encoding.decode import RawUnits
from raresmith.encoding.encoder import Encoder, Label
from raresmith.errors import DataError
from raresmith.spark.columns import ROW_ID
from raresmith.spark.encoding.encode import decode, encode, fit_encoder

LABEL = Label(name="y", type="int", classes=("0", "1"), positive="1")
SCHEMA = (
    "`a b` double, `i.x` int, l bigint, b boolean, `s``q` string, ts timestamp, tn timestamp_ntz, d date, "
    "de decimal(10,2), f float, cents double"
)
ROWS = [
    (
        i * 1.37 - 50 if i % 7 else None,
        i - 100,
        10**12 + i * 1000,
        bool(i % 2),
        ["x", "y", None, "z"][i % 4] if i < 150 else f"k{i}",
        dt.datetime(2025, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=i * 10**9 + i),
        dt.datetime(2025, 1, 1) + dt.timedelta(seconds=i),
        dt.date(2025, 1, 1) + dt.timedelta(days=i),
        decimal.Decimal(i) / 100,
        float("nan") if i % 50 == 0 else i / 3,
        i / 100,
    )
    for i in range(200)
]


def numbered(df: DataFrame) -> DataFrame:
    return df.withColumn(ROW_ID, F.monotonically_increasing_id())


def fitted(df: DataFrame, config: PrepareConfig) -> Encoder:
    return fit_encoder(df, [f for f in df.schema.fields if f.name != ROW_ID], [], LABEL, df.schema, config)


def there_and_back(df: DataFrame, encoder: Encoder) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    encoded = encode(df, encoder)
    columns = decode(encoded, encoder)
    back = encoded.select("row_id", *[column.alias(name) for name, column in columns.items()])
    raw = sorted((row.asDict() for row in df.collect()), key=lambda row: row[ROW_ID])
    got = sorted((row.asDict() for row in back.collect()), key=lambda row: row["row_id"])
    return [({name: one[name] for name in columns}, two) for one, two in zip(raw, got, strict=True)]


@pytest.mark.parametrize("normalise", ["standard", "minmax", "robust", "quantile", "log", "none"])
def test_decode_gives_every_type_back_whatever_the_normalisation(spark: SparkSession, normalise: Any) -> None:
    df = numbered(spark.createDataFrame(ROWS, SCHEMA))
    encoder = fitted(df, PrepareConfig(normalise=normalise))
    assert Encoder.from_json(encoder.to_json()) == encoder
    for raw, back in there_and_back(df, encoder):
        for name, value in raw.items():
            if isinstance(value, float):
                expected = None if math.isnan(value) else pytest.approx(value, rel=1e-5, abs=1e-5)
                assert back[name] == expected, name
            else:
                assert back[name] == value, name


@pytest.mark.parametrize("normalise", ["standard", "minmax", "robust", "quantile", "log", "none"])
def test_spark_and_numpy_decode_made_rows_to_the_same_values(spark: SparkSession, normalise: Any) -> None:
    df = numbered(spark.createDataFrame(ROWS, SCHEMA))
    encoder = fitted(df, PrepareConfig(normalise=normalise))
    schema = t.StructType([f for f in df.schema.fields if f.name != ROW_ID]).add("y", t.IntegerType())
    encoder = dataclasses.replace(encoder, raw_schema=schema.json())
    numbers = [f for f in encoder.features if f.kind == "numeric"]
    moved = encode(df, encoder).withColumns({f.name: (F.col(f.name) * 1.1 + 0.3).cast(f.storage) for f in numbers})
    columns = decode(moved, encoder, clamp=True)
    by_spark = moved.select(*[column.alias(name) for name, column in columns.items()]).toArrow()
    features = {
        name: column.to_numpy() for name, column in zip(encoder.names, moved.toArrow().columns[1:], strict=True)
    }
    by_numpy = RawUnits(encoder, []).rows(features, np.zeros(len(ROWS), np.int32))
    for name in columns:
        one, other = by_numpy[name].to_pylist(), by_spark[name].to_pylist()
        if normalise == "log" and isinstance(one[1], float):
            # Java and C round exp in the last bit each in its own way.
            rel = float(np.finfo(np.float32 if name == "f" else np.float64).eps)
            other = [x if x is None else pytest.approx(x, rel=rel) for x in other]
        assert one == other, name


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(-(2**49), 2**49)),
            st.one_of(st.none(), st.text(max_size=5)),
            st.one_of(st.none(), st.booleans()),
            st.one_of(st.none(), st.floats(width=32, allow_nan=False, allow_infinity=False)),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_integers_categories_and_booleans_come_back_exactly(
    spark: SparkSession, rows: list[tuple[int | None, str | None, bool | None, float | None]]
) -> None:
    df = numbered(spark.createDataFrame(rows, "i bigint, s string, b boolean, x double"))
    encoder = fitted(df, PrepareConfig())
    extent = [abs(row[3]) for row in rows if row[3] is not None]
    for raw, back in there_and_back(df, encoder):
        assert (back["i"], back["s"], back["b"]) == (raw["i"], raw["s"], raw["b"])
        if raw["x"] is None:
            assert back["x"] is None
        else:
            assert back["x"] == pytest.approx(raw["x"], abs=max(extent) * 1e-5)


def test_encoded_columns_hold_no_null_and_the_indicator_marks_where_one_was(spark: SparkSession) -> None:
    df = numbered(spark.createDataFrame([(1.0, "a"), (None, None), (3.0, "b")], "x double, s string").coalesce(1))
    rows = [tuple(row)[1:] for row in encode(df, fitted(df, PrepareConfig())).orderBy("row_id").collect()]
    assert rows == [(pytest.approx(-1.0), 2.0, 2.0), (0.0, 1.0, 3.0), (pytest.approx(1.0), 3.0, 2.0)]


def test_standard_normalisation_has_mean_zero_and_deviation_one(spark: SparkSession) -> None:
    df = numbered(spark.range(1000).select((F.col("id") * 0.37 + 1e6).alias("x")))
    row = encode(df, fitted(df, PrepareConfig())).agg(F.avg("x"), F.stddev_pop("x")).first()
    assert row is not None
    assert tuple(row) == (pytest.approx(0, abs=1e-5), pytest.approx(1, abs=1e-5))


def test_a_category_that_train_did_not_have_gets_the_unseen_code(spark: SparkSession) -> None:
    train = numbered(spark.createDataFrame([("a",), ("b",)], "s string"))
    encoder = fitted(train, PrepareConfig())
    test = numbered(spark.createDataFrame([("c",), ("b",), (None,)], "s string").coalesce(1))
    assert [row["s"] for row in encode(test, encoder).orderBy("row_id").collect()] == [0.0, 3.0, 1.0]


def test_a_column_of_many_categories_is_coded_by_join_without_losing_a_row(spark: SparkSession) -> None:
    df = numbered(spark.range(300).select(F.concat(F.lit("k"), F.col("id") % 40).alias("s")))
    encoder = fitted(df, PrepareConfig())
    feature = encoder.features[0]
    assert feature.kind == "categorical"
    encoded = encode(df, encoder).orderBy("row_id").collect()
    raw = df.orderBy(ROW_ID).collect()
    assert len(encoded) == 300
    assert [feature.categories[int(row["s"]) - 2] for row in encoded] == [row["s"] for row in raw]


def test_rare_categories_beyond_the_limit_share_the_unseen_code_and_come_back_as_the_commonest_of_them(
    spark: SparkSession,
) -> None:
    values = ["a"] * 5 + ["b"] * 4 + ["c"] * 3 + ["d"]
    df = numbered(spark.createDataFrame([(v,) for v in values], "s string").coalesce(1))
    encoder = fitted(df, PrepareConfig(max_categories=2))
    assert encoder.features[0].seen == (0, 2, 3)  # type: ignore[union-attr]
    back = [two["s"] for _, two in there_and_back(df, encoder)]
    assert back == ["a"] * 5 + ["b"] * 4 + ["c"] * 4


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


def test_constant_and_empty_columns_are_encoded_as_zero_distance(spark: SparkSession) -> None:
    df = numbered(spark.createDataFrame([(5.0, None), (5.0, None)], "c double, n double"))
    rows = encode(df, fitted(df, PrepareConfig())).select("c", "n").distinct().collect()
    assert [tuple(row) for row in rows] == [(0.0, 0.0)]


def test_spread_that_no_float_holds_is_refused_with_a_remedy(spark: SparkSession) -> None:
    df = numbered(spark.createDataFrame([(1e308,), (-1e308,)], "x double"))
    with pytest.raises(DataError, match=r"column 'x' .* set prepare.normalise_columns.x"):
        fitted(df, PrepareConfig())


def test_integers_too_large_to_come_back_whole_are_refused_as_names(spark: SparkSession) -> None:
    df = numbered(spark.createDataFrame([(2**51,), (1,)], "x bigint"))
    with pytest.raises(DataError, match=r"'x' .* names rather than quantities"):
        fitted(df, PrepareConfig())


def test_a_column_of_arrays_is_refused_by_name(spark: SparkSession) -> None:
    df = numbered(spark.createDataFrame([([1.0],)], "x array<double>"))
    with pytest.raises(DataError, match="'x' is of type array<double>"):
        fitted(df, PrepareConfig())

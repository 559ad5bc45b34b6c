"""Decoding gives the raw value back."""

import dataclasses
import decimal
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t
from tests.spark.encoding.examples import ROWS, SCHEMA, fitted, numbered, there_and_back

from raresmith.config import PrepareConfig
from raresmith.encoding.decode import RawUnits, encoded_number
from raresmith.encoding.encoder import Encoder, NumericFeature
from raresmith.spark.columns import ROW_ID
from raresmith.spark.encoding.decode import decode
from raresmith.spark.encoding.encode import encode


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


def test_categories_of_any_characters_come_back_exactly(spark: SparkSession) -> None:
    odd = [
        "it's",
        '"',
        "\\",
        "\\'",
        "\\n",
        "\n",
        "\\%",
        "\\u0041",
        "${x}",
        "`",
        "--",
        "/*",
        "",
        " ",
        "\0",
        "\U0001f642",
    ]
    df = numbered(spark.createDataFrame([(text,) for text in odd], "s string"))
    assert [back["s"] for _, back in there_and_back(df, fitted(df, PrepareConfig()))] == odd


def whole(least: int, greatest: int, steps: list[int]) -> st.SearchStrategy[list[int]]:
    """Ten whole numbers that lie on a grid, fewer than 2^53 steps apart."""

    @st.composite
    def numbers(draw: st.DrawFn) -> list[int]:
        step = draw(st.sampled_from(steps))
        first = draw(st.integers(-(-least // step), greatest // step))
        last = draw(st.integers(first, min(first + 2**53 - 1, greatest // step)))
        between = st.lists(st.integers(first, last), min_size=8, max_size=8)
        return [step * n for n in (first, last, *draw(between))]

    return numbers()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    integers=whole(-(2**63), 2**63 - 1, [1, 10, 10**6]),
    moments=whole(-62_135_596_800_000_000, 253_402_300_799_999_999, [1, 1000, 10**6, 86_400 * 10**6]),
    decimals=whole(-(10**32) + 1, 10**32 - 1, [1, 10**8, 10**10, 10**12]),
    normalise=st.sampled_from(["standard", "minmax", "robust", "none"]),
)
def test_whole_numbers_less_than_2_to_the_53_steps_apart_come_back_and_spark_and_numpy_agree(
    spark: SparkSession, integers: list[int], moments: list[int], decimals: list[int], normalise: Any
) -> None:
    texts = [f"{number}E-10" for number in decimals]
    df = numbered(
        spark.createDataFrame(list(zip(integers, moments, texts, strict=True)), "i bigint, t bigint, d string")
        .select("i", F.timestamp_micros("t").alias("t"), F.col("d").cast("decimal(38,10)").alias("d"))
        .coalesce(1)
    )
    schema = t.StructType(df.schema.fields[:-1]).add("y", t.IntegerType())
    encoder = dataclasses.replace(fitted(df, PrepareConfig(normalise=normalise)), raw_schema=schema.json())
    encoded = encode(df, encoder).orderBy("row_id")
    raw = df.orderBy(ROW_ID).select("i", "t", "d").toArrow().to_pylist()
    for clamp in (False, True):
        back = [column.alias(name) for name, column in decode(encoded, encoder, clamp=clamp).items()]
        assert encoded.select(*back).toArrow().to_pylist() == raw
    arrays = encoded.toArrow().columns[1:]
    features = {name: column.to_numpy() for name, column in zip(encoder.names, arrays, strict=True)}
    assert RawUnits(encoder, []).rows(features, np.zeros(10, np.int32)).select(["i", "t", "d"]).to_pylist() == raw
    exact: dict[str, list[Any]] = {"i": integers, "t": moments, "d": [decimal.Decimal(text) for text in texts]}
    for feature in encoder.features:
        assert isinstance(feature, NumericFeature)
        ours = [encoded_number(feature, x) for x in exact[feature.source]]
        assert np.array(ours, features[feature.name].dtype).tolist() == features[feature.name].tolist()


def test_rare_categories_beyond_the_limit_share_the_unseen_code_and_come_back_as_the_commonest_of_them(
    spark: SparkSession,
) -> None:
    values = ["a"] * 5 + ["b"] * 4 + ["c"] * 3 + ["d"]
    df = numbered(spark.createDataFrame([(v,) for v in values], "s string").coalesce(1))
    encoder = fitted(df, PrepareConfig(max_categories=2))
    assert encoder.features[0].seen == (0, 2, 3)  # type: ignore[union-attr]
    back = [two["s"] for _, two in there_and_back(df, encoder)]
    assert back == ["a"] * 5 + ["b"] * 4 + ["c"] * 4

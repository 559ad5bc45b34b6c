"""Grids, wide columns, and values out of all proportion are found, whatever the order of the rows."""

import datetime as dt
import decimal

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.spark.encoding.examples import fitted, numbered, there_and_back

from raresmith.config import PrepareConfig
from raresmith.encoding.encoder import Encoder, NumericFeature
from raresmith.spark.encoding.decode import decode
from raresmith.spark.encoding.encode import encode

DAY, HOUR, SECOND = 86_400_000_000.0, 3_600_000_000.0, 1_000_000.0


def numeric(encoder: Encoder) -> dict[str, NumericFeature]:
    return {f.source: f for f in encoder.features if isinstance(f, NumericFeature)}


def test_the_common_divisor_of_whole_numbers_and_moments_and_powers_of_ten_are_seen(spark: SparkSession) -> None:
    ends_alone = "IF(id = 25, 7, id * 100)"
    df = numbered(
        spark.range(1, 51).selectExpr(
            "timestamp_micros(id * 86400000000) days", "timestamp_micros(id * 7200000000) hours",
            "timestamp_micros(id * 86400000000 - IF(id = 25, 1000000, 0)) seconds",
            "timestamp_micros(id * 1001) micros", "timestamp_ntz'2025-01-01 00:00:00' + make_dt_interval(id) ntz",
            "date_add(DATE'2025-01-01', int(id) * 7) date",
            "id * 500 loan", "id * 12 dozens", "IF(id <= 20, id * 12, NULL) few", "id ones",
            f"{ends_alone} one_off", "cast(id * 2.5 as decimal(38,18)) tenths",
            "cast(id * 4000 as decimal(10,2)) thousands", "bigint(40) constant", "cast(null as bigint) nothing",
        )
    )  # fmt: skip
    found = numeric(fitted(df, PrepareConfig()))
    assert {name: f.step for name, f in found.items()} == {
        "days": DAY, "hours": 2 * HOUR, "seconds": SECOND, "micros": 1001.0, "ntz": DAY, "date": 1.0,
        "loan": 500.0, "dozens": 12.0, "few": 1.0, "ones": 1.0, "one_off": 1.0, "tenths": 0.1,
        "thousands": 1000.0, "constant": 1.0,
        "nothing": 1.0,
    }  # fmt: skip
    # 32 bits hold fifty days of hours, but not of seconds.
    assert {name for name, f in found.items() if f.storage == "double"} == {"seconds"}
    assert all(f.origin is None for f in found.values())


def test_made_moments_lie_on_the_grid_of_the_real_ones(spark: SparkSession) -> None:
    df = numbered(
        spark.range(500).selectExpr("timestamp_micros((id * 37 - 14000) * 86400000000) born", "id * 1500 fee")
    )
    encoder = fitted(df, PrepareConfig())
    made = encode(df, encoder).select(*[(F.col(n) * 0.713 + 0.01).cast("float").alias(n) for n in encoder.names])
    born, fee = (decode(made, encoder, clamp=True)[name] for name in ("born", "fee"))
    off = made.select(born.alias("born"), fee.alias("fee")).where("born <> date_trunc('DAY', born) OR fee % 1500 <> 0")
    assert off.isEmpty()


def test_moments_wide_integers_and_decimals_come_back_whole(spark: SparkSession) -> None:
    rows = [
        (
            dt.datetime(1930 + k % 76, 1, 1, tzinfo=dt.UTC),
            dt.datetime(1930 + k % 76, 1, 1, 2, 3, 4, k, tzinfo=dt.UTC),
            dt.datetime(9999, 12, 31, 23, 59, 59) if k % 9 == 0 else dt.datetime(2026, 1, 1, k % 24, k % 60),
            10**18 + 7 * k,
            -(2**63) + k,
            decimal.Decimal(f"{10**27 + 13 * k}E-10"),
            decimal.Decimal(f"{100 * k + 99}E-2"),
            -(2**52) + k if k % 2 else 2**52 - 1 - k,
        )
        for k in range(100)
    ]
    schema = (
        "born timestamp, second timestamp, closed timestamp_ntz, id bigint, low bigint, m decimal(38,10), "
        "cents decimal(38,18), all_bits bigint"
    )
    df = numbered(spark.createDataFrame(rows, schema))
    encoder = fitted(df, PrepareConfig())
    assert Encoder.from_json(encoder.to_json()) == encoder
    found = numeric(encoder)
    assert {name for name, f in found.items() if f.origin is not None} == {"second", "id", "low", "m", "all_bits"}
    assert {name for name, f in found.items() if f.storage == "double"} == {"second", "closed", "all_bits"}
    for raw, back in there_and_back(df, encoder):
        assert {name: back[name] for name in raw} == raw


def test_a_value_that_lies_too_far_to_be_counted_is_encoded_as_a_far_one(spark: SparkSession) -> None:
    train = numbered(spark.createDataFrame([(10**18 + k,) for k in range(100)], "x bigint"))
    strangers = numbered(spark.createDataFrame([(-(2**63),), (2**63 - 1,)], "x bigint").coalesce(1))
    low, high = (row["x"] for row in encode(strangers, fitted(train, PrepareConfig())).orderBy("row_id").collect())
    assert low < -1e16 < 1e16 < high


@pytest.mark.parametrize("normalise", ["standard", "minmax", "robust", "quantile", "log"])
def test_values_out_of_all_proportion_are_learnt_as_the_end_of_the_others(spark: SparkSession, normalise: str) -> None:
    far = "CASE id WHEN 100 THEN 1e30D WHEN 200 THEN -1e30D WHEN 300 THEN 1e12D ELSE id / 100D END"
    plain = "IF(id IN (100, 200, 300), 6D, id / 100D)"
    tail = "pow(10D, id % 600 / 100D)"
    df = numbered(
        spark.range(600).selectExpr(
            f"{far} x", f"{plain} near", f"{tail} tail", "IF(id = 7, 9223372036854775807, id % 10) l",
            "CAST(IF(id = 7, 1e30D, id) AS DECIMAL(38, 2)) d", "IF(id % 50 = 0, 1e30D, id) often",
            "double(id = 9) rare",
        )
    )  # fmt: skip
    encoder = fitted(df, PrepareConfig(normalise=normalise))  # type: ignore[arg-type]
    found = numeric(encoder)
    assert {name for name, f in found.items() if f.outlier is not None} == {"x", "l", "d"}
    x, near = found["x"], found["near"]
    assert (x.low, x.high, x.step) == (0.0, 5.99, 0.01)
    assert (found["l"].low, found["l"].high) == (0, 9)
    assert x.scale == pytest.approx(near.scale, rel=0.05)
    encoded = encode(df, encoder).select("x", "l").toPandas()
    assert (encoded["x"].min(), encoded["x"].max()) == (x.encoded_low, x.encoded_high)
    assert encoded["l"].max() == found["l"].encoded_high
    back = encode(df, encoder).select(decode(encode(df, encoder), encoder, clamp=True)["x"].alias("x"), "row_id")
    assert back.select("x").distinct().count() == 597
    again = fitted(df.repartition(7, F.rand(1)), PrepareConfig(normalise=normalise))  # type: ignore[arg-type]
    assert again == encoder


def test_what_is_far_in_the_table_but_not_in_its_class_is_learnt(spark: SparkSession) -> None:
    """A difference that is noise but where there is fraud."""
    residual = "CASE WHEN id % 200 = 0 THEN 5D + id WHEN id % 3 = 0 THEN 0D ELSE id * 1e-14 END"
    df = numbered(spark.range(1, 2001).selectExpr(f"{residual} x", f"IF(id = 7, 1e30D, {residual}) slip"))
    encoder = fitted(df, PrepareConfig(), label="int(x >= 5)")
    assert [f.outlier is None for f in numeric(encoder).values()] == [True, False]
    assert numeric(encoder)["x"].high == numeric(encoder)["slip"].high == 2005
    alike = fitted(df, PrepareConfig())
    assert [f.outlier is None for f in numeric(alike).values()] == [False, False]

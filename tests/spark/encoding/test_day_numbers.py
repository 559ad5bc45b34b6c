"""Dates that a table has as numbers are learnt as days, and come back as numbers that are dates."""

import dataclasses
import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t
from tests.spark.encoding.examples import fitted, numbered, there_and_back

from raresmith.config import PrepareConfig
from raresmith.encoding.day_numbers import day_of
from raresmith.encoding.decode import RawUnits
from raresmith.encoding.encoder import Encoder, NumericFeature
from raresmith.errors import DataError
from raresmith.spark.columns import ROW_ID
from raresmith.spark.encoding.drawn import is_drawn

ROWS = 600


def as_number(i: int) -> int:
    return int(f"{dt.date(2019, 12, 1) + dt.timedelta(days=i):%Y%m%d}")


def row(i: int) -> tuple[Any, ...]:
    closed = 0 if i % 4 == 0 else 99991231 if i % 150 == 1 else as_number(2 * i)
    # A number like the others that is no date, in a row that is not looked at.
    return (
        as_number(i),
        closed,
        20230230 if i == 77 else as_number(i),
        as_number(i) // 100,
        -i if i else None,
        Decimal(as_number(3 * i)),
    )


@pytest.fixture(scope="module")
def raw(spark: SparkSession) -> DataFrame:
    schema = "opened int, closed bigint, nearly int, month int, minus int, paid decimal(8,0)"
    return numbered(spark.createDataFrame([row(i) for i in range(ROWS)], schema)).persist()


@pytest.fixture(scope="module")
def encoder(raw: DataFrame) -> Encoder:
    found = fitted(raw, PrepareConfig(), drawn=is_drawn({0: ROWS}, 5) & (F.col("opened") != as_number(77)))
    schema = t.StructType([f for f in raw.schema.fields if f.name != ROW_ID]).add("y", t.IntegerType())
    return dataclasses.replace(found, raw_schema=schema.json())


def numbers(encoder: Encoder) -> dict[str, NumericFeature]:
    return {f.source: f for f in encoder.features if f.kind == "numeric"}


def test_days_are_learnt_and_every_number_comes_back(raw: DataFrame, encoder: Encoder) -> None:
    found = numbers(encoder)
    assert {name for name, f in found.items() if f.is_day_number} == {"opened", "closed", "paid"}
    assert Encoder.from_json(encoder.to_json()) == encoder
    first = (dt.date(2019, 12, 1) - dt.date(1970, 1, 1)).days
    assert (found["opened"].low, found["opened"].high, found["opened"].step) == (first, first + ROWS - 1, 1)
    assert found["closed"].masses == ("0",) and found["closed"].type == "bigint"
    for original, decoded in there_and_back(raw, encoder):
        assert decoded == {**original, **{name: decoded[name] for name in decoded if name not in found}}


def test_numbers_between_are_dates(raw: DataFrame, encoder: Encoder) -> None:
    of, units = numbers(encoder), RawUnits(encoder, [])
    made = {name: np.linspace(-1.7, 1.7, 1000, dtype=np.float32) for name in encoder.names}
    made |= {f.state: np.full(1000, 2.0, np.float32) for f in of.values() if f.state}
    rows = units.rows(made, np.zeros(1000, np.int32))
    days = [dt.datetime.strptime(str(x), "%Y%m%d").date() for x in rows.column("opened").to_pylist()]
    assert len({*days}) > 500 and days == sorted(days)
    assert rows.schema.field("paid").type == pa.decimal128(8, 0)
    assert None not in {day_of(int(x)) for x in rows.column("paid").to_pylist()}


def test_a_number_that_is_given_must_be_a_date(encoder: Encoder) -> None:
    units = RawUnits(encoder, [])
    number = next(iter(units.given("opened", "20200229")[0].values()))
    feature = numbers(encoder)["opened"]
    assert number * feature.scale + feature.center == pytest.approx((dt.date(2020, 2, 29) - dt.date(1970, 1, 1)).days)
    with pytest.raises(DataError, match="'opened' has dates as YYYYMMDD, and 20200230 is none"):
        units.given("opened", "20200230")
    with pytest.raises(DataError, match="'opened' lies from 20191201 to 20210722"):
        units.given("opened", "20290101")

"""Zeros, sentinels and caps are states beside the numbers, which are learnt without them, and come back exactly."""

import dataclasses
import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t
from tests.spark.encoding.examples import fitted, numbered, there_and_back

from raresmith.config import PrepareConfig
from raresmith.encoding.decode import RawUnits
from raresmith.encoding.encoder import Encoder, NumericFeature
from raresmith.errors import DataError
from raresmith.spark.columns import ROW_ID
from raresmith.spark.encoding.drawn import is_drawn
from raresmith.spark.encoding.encode import encode

ROWS = 800
SCHEMA = (
    "back double, `loan a` int, until date, seen timestamp, local timestamp_ntz, fee decimal(10,2), capped float, "
    "plain double, wide bigint"
)


def row(i: int) -> tuple[Any, ...]:
    rare = i % 4 == 0
    day, moment = dt.date(2020, 1, 1) + dt.timedelta(days=i), dt.datetime(2021, 1, 1) + dt.timedelta(minutes=7 * i)
    return (
        0.0 if i % 10 < 7 else None if i % 50 == 9 else i * 1.37,
        -999 if rare else 500 * (1 + i % 97),
        dt.date(9999, 12, 31) if rare else day,
        dt.datetime(1900, 1, 1, tzinfo=dt.UTC) if rare else moment.replace(tzinfo=dt.UTC),
        dt.datetime(1970, 1, 1) if rare else moment,
        Decimal(0) if rare else Decimal(i) / 100,
        1000.0 if rare else i / 8,
        i / 7,
        2**62 if rare else 10**15 + 12_345_678_901 * i,
    )


MASSES = {
    "back": ("0",), "loan a": ("-999",), "until": ("9999-12-31",), "seen": ("1900-01-01 00:00:00.000000",),
    "local": ("1970-01-01 00:00:00.000000",), "fee": ("0.00",), "capped": ("1000",), "plain": (), "wide": (str(2**62),),
}  # fmt: skip


@pytest.fixture(scope="module")
def raw(spark: SparkSession) -> DataFrame:
    return numbered(spark.createDataFrame([row(i) for i in range(ROWS)], SCHEMA)).persist()


def fit(df: DataFrame, **config: Any) -> Encoder:
    return fitted(df, PrepareConfig(**config), drawn=is_drawn({0: ROWS}, 9))


def numbers(encoder: Encoder) -> dict[str, NumericFeature]:
    return {f.source: f for f in encoder.features if f.kind == "numeric"}


@pytest.mark.parametrize("normalise", ["standard", "quantile", "robust"])
def test_every_value_comes_back_and_masses_by_the_bit(raw: DataFrame, normalise: Any) -> None:
    encoder = fit(raw, normalise=normalise)
    assert Encoder.from_json(encoder.to_json()) == encoder
    assert {name: f.masses for name, f in numbers(encoder).items()} == MASSES
    assert {f.state for f in numbers(encoder).values()} == {"", *(f.name for f in encoder.features if not f.source)}
    back = there_and_back(raw, encoder)
    for name, found in MASSES.items():
        for original, decoded in back:
            value = original[name]
            if isinstance(value, float) and f"{value:g}" not in found:
                value = pytest.approx(value, rel=1e-5, abs=1e-5)
            assert decoded[name] == value, name


def test_numbers_are_learnt_from_the_other_values(raw: DataFrame) -> None:
    of = numbers(fit(raw))
    assert (of["loan a"].low, of["loan a"].high, of["loan a"].step) == (500, 48_500, 500)
    assert of["back"].low == pytest.approx(7 * 1.37)
    assert of["until"].high == (dt.date(2020, 1, 1) + dt.timedelta(days=ROWS - 1) - dt.date(1970, 1, 1)).days
    assert of["seen"].step == 60_000_000  # minutes
    assert of["fee"].impute == pytest.approx(float(np.mean([i for i in range(ROWS) if i % 4]) / 100), abs=0.01)
    assert of["capped"].high == (ROWS - 1) / 8


def test_numpy_makes_rows_of_the_same_values(raw: DataFrame) -> None:
    encoder = fit(raw)
    schema = t.StructType([f for f in raw.schema.fields if f.name != ROW_ID]).add("y", t.IntegerType())
    encoder = dataclasses.replace(encoder, raw_schema=schema.json())
    found = encode(raw, encoder).orderBy("row_id").toArrow()
    features = {name: found.column(name).to_numpy() for name in encoder.names}
    units = RawUnits(encoder, [])
    rows = units.rows(features, np.zeros(ROWS, np.int32))
    wanted = raw.orderBy(ROW_ID).toArrow()
    for name in ("back", "loan a", "until", "seen", "local", "fee", "wide"):
        one, other = rows.column(rows.schema.names.index(name)).to_pylist(), wanted.column(name).to_pylist()
        assert one == [x if x is None or name != "back" else pytest.approx(x, rel=1e-5) for x in other], name
    # A mass can be given, and is a state; rows are equal where their values are.
    given, value = units.given("until", "9999-12-31")
    assert given["until_state"] == 4.0 and value.as_py() == dt.date(9999, 12, 31)
    assert units.given("back", "9.59")[0]["back_state"] == 2.0
    moved = {**features, "back": features["back"] + (features["back_state"] == 4).astype(np.float32)}
    for one, other in zip(units.comparable(features), units.comparable(moved), strict=True):
        assert np.array_equal(one, other)


def test_masses_are_the_same_however_the_rows_lie_and_need_rows_to_be_looked_at(raw: DataFrame) -> None:
    assert len({fit(raw.repartition(n, F.rand(n))).to_json() for n in (1, 2, 7)}) == 1
    plain = numbers(fitted(raw.drop("wide"), PrepareConfig()))
    assert not any(f.masses or (f.state and f.source != "back") for f in plain.values())
    with pytest.raises(DataError, match="'wide' spans"):  # which its sentinel alone makes wide
        fitted(raw, PrepareConfig())

"""A constraint that cannot hold for the raw table's columns is refused in one sentence, before anything is read."""

import datetime as dt
from typing import Any

import pytest
from pyspark.sql import types as t
from tests.config.test_file import MINIMAL, parsed

from raresmith.errors import ConfigError
from raresmith.spark.stages.preflight import check_columns

TYPES: dict[str, t.DataType] = {
    "id": t.LongType(), "y": t.StringType(), "n": t.ByteType(), "price": t.DecimalType(5, 2), "x": t.DoubleType(),
    "day": t.DateType(), "t": t.TimestampNTZType(), "u": t.TimestampType(), "k": t.StringType(), "f": t.BooleanType(),
    "tags": t.ArrayType(t.StringType()),
}  # fmt: skip
RAW = t.StructType([t.StructField(name, kind) for name, kind in TYPES.items()])
KEYED = {**MINIMAL["source"], "key": ["id"]}


def check(**constraints: Any) -> None:
    check_columns(parsed(source=KEYED, publish={"constraints": constraints}), RAW)


def test_constraints_that_fit_the_columns_pass() -> None:
    check(
        not_null=["tags", "k"],
        ranges={"n": {"low": -128}, "price": {"high": 999.99}, "x": {"low": 1}, "t": {"low": "2025-01-01"}},
        combinations=[{"columns": ["k", "f", "y"], "values": [["a", True, "bad"]]}, {"columns": ["day", "n"]}],
        orders=[["day", "t", "u"], ["n", "price", "x"]],
        sums=[{"columns": ["n", "price"], "total": 10.5}, {"columns": ["n", "x"], "total": "price"}],
    )


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ({"range": {}}, r"\[publish.constraints\] has no key 'range'; did you mean 'ranges'\?"),
        ({"ranges": {"n": {"least": 1}}}, r"\[publish.constraints.ranges.n\] has no key 'least'; there are \['high"),
        ({"ranges": {"n": {}}}, r"publish.constraints.ranges.n must have low, high or both"),
        ({"ranges": {"n": {"low": True}}}, r"ranges.n.low must be a whole number or a number or text, got True"),
        ({"ranges": {"n": {"low": 200}}}, r"ranges.n.low must be a whole number from -128 to 127, .*tinyint; got 200"),
        ({"ranges": {"n": {"low": 0.5}}}, r"ranges.n.low must be a whole number from .* got 0.5"),
        ({"ranges": {"n": {"low": 2, "high": 1}}}, r"ranges.n.low must not be above high, got 2 and 1"),
        ({"ranges": {"price": {"high": 0.125}}}, r"ranges.price.high must be a number of 5 digits, 2 of them decimals"),
        ({"ranges": {"price": {"high": 1000}}}, r"ranges.price.high must be .*decimal\(5,2\); got 1000"),
        ({"ranges": {"x": {"high": float("inf")}}}, r"ranges.x.high must be a number, .*double; got inf"),
        ({"ranges": {"x": {"high": "much"}}}, r"ranges.x.high must be a number, .*; got 'much'"),
        ({"ranges": {"day": {"low": "May"}}}, r"ranges.day.low must be an ISO date, .*; got 'May'"),
        ({"ranges": {"day": {"low": 5}}}, r"ranges.day.low must be an ISO date, .*; got 5"),
        (
            {"ranges": {"t": {"low": dt.datetime(2025, 1, 1, tzinfo=dt.UTC)}}},
            r"ranges.t.low must be an ISO timestamp without a time zone, .*timestamp_ntz",
        ),
        (
            {"ranges": {"u": {"low": "2025-01-01", "high": "2025-02-01T00:00Z"}}},
            r"ranges.u must give both ends a time zone or neither",
        ),
        ({"ranges": {"k": {"low": 1}}}, r"ranges.k names 'k' of type string; it must be a number, a date or a time"),
        ({"ranges": {"m": {"low": 1}}}, r"publish.constraints.ranges names the column 'm', which .* lacks"),
        ({"not_null": ["tagz"]}, r"not_null names the column 'tagz', .* did you mean 'tags'"),
        ({"not_null": ["id"]}, r"not_null names the column 'id', which is a key, which made rows do not have; leave"),
        ({"orders": [["n", "y"]]}, r"orders names the column 'y', which is the class, .* repaired; leave"),
        ({"orders": [["n"]]}, r"publish.constraints.orders must name at least two different columns, got \['n'\]"),
        ({"orders": [["day", "n"]]}, r"orders names 'n' of type tinyint; it must be a date or a timestamp, as the"),
        ({"orders": [["n", "day"]]}, r"orders names 'day' of type date; it must be a number"),
        ({"combinations": [{"columns": ["k", "tags"]}]}, r"combinations names 'tags' of type array<string>; it must"),
        (
            {"combinations": [{"columns": ["k", "n"], "values": [["a"]]}]},
            r"combinations.values must give each of \['k', 'n'\] a value, got \['a'\]",
        ),
        (
            {"combinations": [{"columns": ["k", "n"], "values": [["a", "b"]]}]},
            r"combinations.values of 'n' must be a whole number .* got 'b'",
        ),
        (
            {"combinations": [{"columns": ["k", "f"], "values": [["a", 1]]}]},
            r"combinations.values of 'f' must be true or false, .* got 1",
        ),
        ({"sums": [{"columns": ["n", "k"], "total": "x"}]}, r"sums names 'k' of type string; it must be a number"),
        ({"sums": [{"columns": ["n", "x"], "total": "x"}]}, r"sums has the total 'x' among its columns"),
        ({"sums": [{"columns": ["x", "n"], "total": 0.5}]}, r"sums.total must be a whole number .*tinyint; got 0.5"),
        ({"sums": [{"columns": ["x", "n"]}]}, r"\[publish.constraints.sums\] lacks 'total': What they add up to"),
    ],
)
def test_a_constraint_that_cannot_be_held_is_named_with_what_was_found_and_expected(
    constraints: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check(**constraints)

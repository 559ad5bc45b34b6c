"""Which values of a number column are states of their own."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raresmith.encoding.masses import MOST, masses

ONE = np.zeros(1000, int)
AMOUNTS = np.random.default_rng(0).lognormal(3, 1, 1000).round(2)


def with_share(value: float, rows: int) -> pa.Array:
    return pa.array(np.where(np.arange(1000) < rows, value, AMOUNTS))


@pytest.mark.parametrize(("value", "rows", "found"), [(0.0, 50, ("0",)), (-999.0, 700, ("-999",)), (0.0, 40, ())])
def test_what_one_value_in_twenty_is_is_a_mass(value: float, rows: int, found: tuple[str, ...]) -> None:
    assert masses(with_share(value, rows), ONE) == found


@pytest.mark.parametrize(
    "values",
    [
        np.arange(1000) % 24,  # a scale: all values are as frequent
        np.random.default_rng(0).poisson(1.5, 1000),
        np.random.default_rng(0).poisson(60, 1000),
        np.random.default_rng(0).normal(size=1000).round(1),
        np.zeros(1000),
        AMOUNTS,
        500 * np.ceil(np.random.default_rng(0).lognormal(8, 0.6, 1000) / 500),
    ],
    ids=["hours", "few counts", "counts", "tenths", "constant", "amounts", "a coarse grid"],
)
def test_values_of_a_scale_are_none(values: np.ndarray) -> None:
    assert masses(pa.array(values), ONE) == ()


def test_two_masses_may_be_neighbours() -> None:
    values = AMOUNTS.copy()
    values[:80], values[80:200] = -2, -1
    assert masses(pa.array(values), ONE) == ("-1", "-2")


def test_what_is_frequent_in_one_class_alone_is_a_mass() -> None:
    classes = (np.arange(1000) < 150).astype(int)
    assert masses(with_share(1.0, 30), ONE) == ()
    assert masses(with_share(1.0, 30), classes) == ("1",)
    # Of a class with so few rows nothing is said.
    assert masses(with_share(1.0, 30), (np.arange(1000) < 99).astype(int)) == ()


def test_the_most_frequent_come_first_and_the_rest_are_numbers() -> None:
    values = AMOUNTS.copy()
    for place, rows in enumerate((60, 70, 80, 90, 100)):
        values[place * 100 : place * 100 + rows] = -place - 1.0
    found = masses(pa.array(values), ONE)
    assert found == ("-5", "-4", "-3", "-2") and len(found) == MOST


def test_null_nan_and_infinity_are_no_values_and_zero_has_no_sign() -> None:
    values = with_share(0.0, 60).to_pylist()
    values[:30] = [-0.0] * 30
    values += [None] * 500 + [float("nan")] * 500 + [float("inf")] * 500
    assert masses(pa.array(values), np.zeros(2500, int)) == ("0",)


def test_masses_are_written_so_that_their_type_is_read_back() -> None:
    far: list[tuple[Any, pa.DataType, str, Callable[[int], Any]]] = [
        (Decimal("-1.00"), pa.decimal128(10, 2), "-1.00", lambda i: Decimal(i) / 100),
        (dt.date(9999, 12, 31), pa.date32(), "9999-12-31", lambda i: dt.date(2020, 1, 1) + dt.timedelta(i)),
        (
            dt.datetime(1900, 1, 1, tzinfo=dt.UTC),
            pa.timestamp("us", "UTC"),
            "1900-01-01 00:00:00.000000",
            lambda i: dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=i),
        ),
        (-1, pa.int64(), "-1", lambda i: i),
        (np.float32(1e10), pa.float32(), "1e+10", lambda i: np.float32(i / 7)),
    ]
    for value, kind, text, other in far:
        values = pa.array([value] * 100 + [other(i) for i in range(900)], kind)
        assert masses(values, ONE) == (text,)

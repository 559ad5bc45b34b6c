"""A column summed up part by part is what it is as a whole, against NumPy and hand-worked grids."""

import datetime as dt
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raresmith.encoding.summary import MOST_DECIMALS, Asked, Summary, by_place, summaries, together

FLOATS = st.floats(min_value=-1e12, max_value=1e12) | st.just(math.nan) | st.none()


def summed_up(*parts: list[Any], kind: pa.DataType, is_log: bool = False) -> Summary:
    """Each part in a task of its own, in batches of three rows."""

    def tasks() -> Iterator[pa.RecordBatch]:
        for part in parts:
            table = pa.table({"x": pa.array(part, kind)})
            yield from summaries(table.to_batches(max_chunksize=3), [Asked("x", is_log=is_log)])

    found = dict(by_place(row for batch in together(tasks()) for row in batch.to_pylist()))
    assert found[-1].numbers.count == sum(map(len, parts))
    return found[0]


@given(st.lists(st.lists(FLOATS, max_size=9), min_size=1, max_size=4), st.booleans())
def test_floats_against_numpy(parts: list[list[float | None]], is_log: bool) -> None:
    found = summed_up(*parts, kind=pa.float64(), is_log=is_log)
    x = np.array([v for part in parts for v in part if v is not None and not math.isnan(v)])
    assert found.numbers.count == len(x)
    if len(x):
        assert (found.least, found.greatest) == (found.low, found.high) == (x.min(), x.max())
        moments, of = (found.logs, np.sign(x) * np.log1p(np.abs(x))) if is_log else (found.numbers, x)
        assert moments.mean == pytest.approx(of.mean(), rel=1e-9, abs=1e-9 * np.abs(of).max())
        assert moments.deviation == pytest.approx(of.std(), rel=1e-6, abs=1e-9 * np.abs(of).max())


def test_moments_far_from_zero_keep_their_digits() -> None:
    values = [1_700_000_000_000_000 + k for k in range(1000)]
    found = summed_up(values[:300], values[300:], kind=pa.timestamp("us", "UTC"))
    assert found.numbers.deviation == pytest.approx(np.arange(1000).std(), rel=1e-3)
    assert (found.least, found.greatest) == (values[0], values[-1])


@pytest.mark.parametrize(
    ("values", "kind", "grid"),
    [
        ([1.0, 2.0], pa.float64(), 0),
        ([1.25, 2.5], pa.float64(), 2),
        ([1.1, 0.3], pa.float32(), 1),
        ([0.1, math.pi], pa.float64(), MOST_DECIMALS + 1),
        ([500, 1500, 0], pa.int32(), 500),
        ([-6, 9], pa.int64(), 3),
        ([-(2**63), 0], pa.int64(), 2**63),
        ([7], pa.int8(), 7),
        ([Decimal("5.20"), Decimal("-1.10")], pa.decimal128(10, 2), 10),
        ([Decimal(10**30), Decimal(3 * 10**29)], pa.decimal128(38, 5), 10**34),
        ([Decimal(10**37 + 3), Decimal(10**37)], pa.decimal128(38, 0), 1),
        ([dt.date(1970, 1, 8), dt.date(1969, 12, 25)], pa.date32(), 7),
        ([dt.datetime(2024, 1, 1, 10, 15), dt.datetime(2024, 1, 1, 10, 30)], pa.timestamp("us"), 900_000_000),
        ([None], pa.int64(), 0),
        ([], pa.float64(), 0),
    ],
)
def test_grids(values: list[Any], kind: pa.DataType, grid: int) -> None:
    assert summed_up(values, kind=kind).grid == grid
    assert summed_up([None, *values], values, [], kind=kind).grid == grid


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=9),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=9),
)
def test_whole_numbers_against_python(first: list[int], second: list[int]) -> None:
    found = summed_up(first, second, kind=pa.int64())
    values = [*first, *second]
    assert (found.least, found.greatest, found.grid) == (min(values), max(values), math.gcd(*values))


def test_what_is_scaled_decides_what_counts() -> None:
    table = pa.table({"x": pa.array([1, 10**30, 3], pa.decimal128(38, 0)), "n": pa.array([0.1, None, 0.3])})
    found = dict(
        by_place(row for batch in summaries(table.to_batches(), [Asked("x", "n")]) for row in batch.to_pylist())
    )
    assert (found[0].least, found[0].greatest, found[0].low, found[0].high) == (1, 3, 0.1, 0.3)
    assert found[0].numbers.mean == pytest.approx(0.2)

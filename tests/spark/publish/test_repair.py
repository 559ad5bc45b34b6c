"""Made rows are brought to keep the constraints, or left out; others are not touched."""

import datetime as dt
import itertools
import math
import random
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import types as t
from tests.config.test_file import parsed

from raresmith.config import ConstraintsConfig
from raresmith.spark.columns import BASE
from raresmith.spark.publish.constraints import constraints_of
from raresmith.spark.publish.repair import Counts, counted, is_left_out, repaired

Rows = list[tuple[Any, ...]]
NAN = math.nan


def config(**constraints: Any) -> ConstraintsConfig:
    return parsed(publish={"constraints": constraints}).publish.constraints


class Mended:
    """Rows as mended, in the order in which they were made; None for one that is left out."""

    def __init__(
        self,
        spark: SparkSession,
        schema: str,
        made: Rows,
        base: Rows,
        train: Rows | None = None,
        steps: dict[str, float] | None = None,
        partitions: int = 2,
        **constraints: Any,
    ) -> None:
        raw = t.StructType.fromDDL(schema)
        assert isinstance(raw, t.StructType)
        both = t.StructType([t.StructField("place", t.LongType())])
        both = t.StructType([*both, *raw, *[t.StructField(BASE + f.name, f.dataType) for f in raw]])
        rows = [(i, *m, *b) for i, (m, b) in enumerate(zip(made, base, strict=True))]
        df = spark.createDataFrame(rows, both).selectExpr("*", "place AS parent_row_id").repartition(partitions)
        train_rows = spark.createDataFrame(base if train is None else train, raw)
        found = constraints_of(config(**constraints), raw, steps or {}, train_rows)
        mended = repaired(df, found)
        assert [f.dataType for f in mended.schema if f.name in raw.names] == [f.dataType for f in raw]
        collected = sorted(mended.withColumn("left_out", is_left_out()).collect(), key=lambda row: row["place"])
        self.rows = [None if row["left_out"] else tuple(row)[1 : 1 + len(raw)] for row in collected]
        self.left_out, self.counts = counted(mended, train_rows, found)


def test_a_range_takes_the_nearest_end_of_the_columns_own_type(spark: SparkSession) -> None:
    schema = "`a.b` tinyint, price decimal(6,2), x float, day date, t timestamp_ntz, u timestamp"
    noon = dt.datetime(2025, 3, 1, 12)
    base = [(5, Decimal("5.00"), 5.0, noon.date(), noon, noon)] * 4
    made = [
        (-4, Decimal("0.01"), 0.1, dt.date(2024, 12, 31), dt.datetime(2024, 12, 31), dt.datetime(2024, 12, 31)),
        (120, Decimal("9999.99"), 1e30, dt.date(2030, 1, 1), dt.datetime(2030, 1, 1), dt.datetime(2030, 1, 1)),
        (7, Decimal("9.99"), 9.5, noon.date(), noon, noon),
        (None, None, NAN, None, None, None),
    ]
    found = Mended(
        spark, schema, made, base,
        ranges={
            "a.b": {"low": 0, "high": 10},
            "price": {"low": 0.25, "high": 10},
            "x": {"low": 0.5, "high": 9.5},
            "day": {"low": dt.date(2025, 1, 1), "high": "2025-12-31"},
            "t": {"low": "2025-01-01T00:00:00.000001", "high": dt.datetime(2025, 12, 31, 23, 59)},
            "u": {"low": "2025-01-01T02:00:00+02:00", "high": "2025-12-31T00:00:00Z"},
        },
    )  # fmt: skip
    first, second, third, fourth = found.rows
    begin, micro = dt.datetime(2025, 1, 1), dt.datetime(2025, 1, 1, microsecond=1)

    def as_here(moment: dt.datetime) -> dt.datetime:
        """The session's time zone is UTC; PySpark hands timestamps over in the machine's."""
        return moment.replace(tzinfo=dt.UTC).astimezone().replace(tzinfo=None)

    assert first == (0, Decimal("0.25"), 0.5, dt.date(2025, 1, 1), micro, as_here(begin))
    end = dt.datetime(2025, 12, 31)
    assert second == (10, Decimal("10.00"), 9.5, end.date(), end.replace(hour=23, minute=59), as_here(end))
    assert third == made[2]
    assert fourth is not None
    assert math.isnan(fourth[2])
    assert fourth[:2] + fourth[3:] == (None,) * 5
    assert found.counts["a.b from 0 to 10"] == Counts(broken=2, left_out=0, originals=0)


def test_half_a_range_binds_on_its_side_only(spark: SparkSession) -> None:
    made = [(-5.0,), (5.0,)]
    assert Mended(spark, "x double", made, made, ranges={"x": {"low": 0}}).rows == [(0.0,), (5.0,)]
    assert Mended(spark, "x double", made, made, ranges={"x": {"high": 0}}).rows == [(-5.0,), (0.0,)]


def test_columns_out_of_order_become_those_of_the_base_row(spark: SparkSession) -> None:
    day = [dt.datetime(2025, 1, d) for d in range(1, 9)]
    schema = "opened timestamp_ntz, paid date, closed timestamp_ntz, least int, most decimal(4,1)"
    base = [(day[0], day[1].date(), day[2], 1, Decimal("1.5"))] * 4
    made = [
        (day[5], day[6].date(), day[7], 2, Decimal("2.0")),
        (day[5], day[6].date(), day[4], 3, Decimal("2.9")),
        (day[5], None, day[4], 3, None),
        (day[5], day[5].date(), day[5], 3, Decimal("3.0")),
    ]
    found = Mended(spark, schema, made, base, orders=[["opened", "paid", "closed"], ["least", "most"]])
    assert found.rows == [made[0], base[1], (*base[2][:3], 3, None), made[3]]
    assert found.counts == {
        "opened ≤ paid ≤ closed": Counts(broken=2, left_out=0, originals=0),
        "least ≤ most": Counts(broken=1, left_out=0, originals=0),
    }


def test_a_total_becomes_the_sum_of_its_columns(spark: SparkSession) -> None:
    base = [(1, 2, 3)] * 4
    made = [(1, 2, 3), (4, 5, 8), (4, None, 8), (100, 100, 127)]
    found = Mended(spark, "a tinyint, b tinyint, c tinyint", made, base, sums=[{"columns": ["a", "b"], "total": "c"}])
    # 200 does not fit: the base row's values instead.
    assert found.rows == [(1, 2, 3), (4, 5, 9), (4, None, 8), (1, 2, 3)]
    assert found.counts["a + b = c"] == Counts(broken=2, left_out=0, originals=0)


def test_the_last_column_becomes_what_is_missing_to_a_fixed_sum(spark: SparkSession) -> None:
    half = Decimal("0.5")
    base = [(Decimal("20.0"), Decimal("30.0"), Decimal("50.0"))] * 2
    made = [(Decimal("20.5"), Decimal("30.5"), Decimal("50.0")), (half, half, Decimal("99.0"))]
    sums = [{"columns": ["a", "b", "c"], "total": 100}]
    found = Mended(spark, "a decimal(4,1), b decimal(4,1), c decimal(4,1)", made, base, sums=sums)
    assert found.rows == [(Decimal("20.5"), Decimal("30.5"), Decimal("49.0")), made[1]]


def test_whole_numbers_add_up_beyond_64_bits(spark: SparkSession) -> None:
    most = 2**63 - 1
    sums = [{"columns": ["a", "b"], "total": "c"}]
    found = Mended(spark, "a bigint, b bigint, c bigint", [(most, most, -2)], [(1, 1, 2)], sums=sums)
    assert found.rows == [(1, 1, 2)]


def test_cents_add_up_though_doubles_do_not_and_mended_ones_are_cents(spark: SparkSession) -> None:
    made = [(0.1, 0.2, 0.3), (0.1, 0.2, 0.31), (1234567.01, 0.02, 1234567.02), (NAN, 0.2, 0.7)]
    sums = [{"columns": ["net", "tax"], "total": "gross"}]
    schema, steps = "net double, tax double, gross double", {"gross": 0.01}
    found = Mended(spark, schema, made, [(1.0, 1.0, 2.0)] * 4, steps=steps, sums=sums)
    assert found.rows[:3] == [(0.1, 0.2, 0.3), (0.1, 0.2, 0.3), (1234567.01, 0.02, 1234567.03)]
    assert found.rows[3] is not None
    assert found.rows[3][1:] == (0.2, 0.7)
    assert found.counts["net + tax = gross"].broken == 2


def test_a_combination_that_no_train_row_has_becomes_the_base_rows(spark: SparkSession) -> None:
    schema = "kind string, `sub.kind` string, n int, other int"
    train = [("a", "x", 1, 0), ("a", None, 2, 0), (None, None, 3, 0), ("b", "y", 1, 0)]
    made = [("a", "x", 1, 7), ("a", "y", 1, 7), ("a", None, 2, 7), (None, None, 3, 7), (None, "x", 3, 7)]
    base = [train[0], train[3], train[0], train[0], train[2]]
    columns = ["kind", "sub.kind", "n"]
    found = Mended(spark, schema, made, base, train, combinations=[{"columns": columns}])
    assert found.rows == [made[0], ("b", "y", 1, 7), made[2], made[3], (None, None, 3, 7)]
    assert found.counts == {"kind, sub.kind, n as in train rows": Counts(broken=2, left_out=0, originals=0)}


def test_listed_combinations_are_of_the_columns_types_and_a_base_row_that_has_none_is_left_out(
    spark: SparkSession,
) -> None:
    listed = [["a", 1, True, 0.1, dt.date(2025, 1, 1)], ["b", 2, False, 2, "2025-01-02"]]
    first, second = (
        ("a", 1, True, Decimal("0.10"), dt.date(2025, 1, 1)), ("b", 2, False, Decimal("2.00"), dt.date(2025, 1, 2)),
    )  # fmt: skip
    mixed, unlisted = (*first[:3], *second[3:]), ("c", 3, *first[2:])
    found = Mended(
        spark, "k string, n smallint, f boolean, d decimal(5,2), day date",
        [first, second, mixed, mixed], [second, first, second, unlisted],
        combinations=[{"columns": ["k", "n", "f", "d", "day"], "values": listed}],
    )  # fmt: skip
    assert found.rows == [first, second, second, None]
    assert found.left_out == 1
    assert found.counts == {"k, n, f, d, day as listed": Counts(broken=2, left_out=1, originals=1)}


def test_nulls_become_the_base_rows_value_or_the_row_is_left_out(spark: SparkSession) -> None:
    made: Rows = [(None, 1.0), ("a", NAN), ("a", 1.0), (None, NAN)]
    base: Rows = [("b", 2.0), ("b", 2.0), ("b", None), ("b", None)]
    found = Mended(spark, "k string, x double", made, base, not_null=["k", "x"])
    assert found.rows == [("b", 1.0), ("a", 2.0), ("a", 1.0), None]
    assert found.counts["k not null"] == Counts(broken=2, left_out=1, originals=0)
    assert found.counts["x not null"] == Counts(broken=2, left_out=1, originals=2)
    assert found.left_out == 1


def test_constraints_that_share_columns_fall_back_on_the_base_row_together(spark: SparkSession) -> None:
    # The clamped a no longer adds up, the mended c is out of range: so a, b and c are the base row's, d is not.
    made = [(50, 9, 11, 5)]
    constraints: dict[str, Any] = {
        "ranges": {"a": {"high": 10}, "c": {"high": 15}},
        "sums": [{"columns": ["a", "b"], "total": "c"}],
        "orders": [["d", "a"]],
    }
    columns = "a int, b int, c int, d int"
    assert Mended(spark, columns, made, [(3, 4, 7, 1)], **constraints).rows == [(3, 4, 7, 1)]
    constraints = {**constraints, "orders": []}
    assert Mended(spark, columns, made, [(3, 4, 7, 1)], **constraints).rows == [(3, 4, 7, 5)]
    assert Mended(spark, columns, made, [(3, 4, 8, 1)], **constraints).rows == [None]
    # And where the mended c is in range, only that changes besides a.
    assert Mended(spark, columns, [(50, 2, 11, 5)], [(3, 4, 8, 1)], **constraints).rows == [(10, 2, 12, 5)]


HOSTILE = "`a.b` bigint, floor decimal(12,2), net double, tax double, gross double, opened timestamp_ntz, "
HOSTILE += "closed timestamp_ntz, kind string, part string, free string"
CONSTRAINTS: dict[str, Any] = {
    "not_null": ["kind"],
    "ranges": {"a.b": {"low": -(2**40), "high": 10}, "gross": {"high": 100}},
    "combinations": [{"columns": ["kind", "part"]}, {"columns": ["part", "a.b"], "values": [["p", 1], ["q", 10]]}],
    "orders": [["opened", "closed"], ["floor", "gross"]],
    "sums": [{"columns": ["net", "tax"], "total": "gross"}],
}
TOGETHER = {(None, "p"), ("k", "p"), ("k", "q"), ("l", None)}


def hostile_rows(n: int, seed: int) -> Rows:
    draw = random.Random(seed)
    moments = [None, dt.datetime(1, 1, 1), dt.datetime(2025, 1, 1), dt.datetime(2025, 1, 1, 0, 0, 0, 1)]
    doubles = [None, NAN, 0.0, -0.0, 0.1, 33.3, 66.7, 100.0, 1e300, -1e300, math.inf]
    pools: list[list[Any]] = [
        [None, 1, 10, 11, -(2**63), 2**63 - 1],
        [None, Decimal("0.00"), Decimal("100.01"), Decimal("-9999999999.99")],
        doubles, doubles, doubles, moments, moments, ["k", "l", "", None], ["p", "q", None], ["free", None],
    ]  # fmt: skip
    return [tuple(draw.choice(pool) for pool in pools) for _ in range(n)]


def keeps_all(row: tuple[Any, ...]) -> bool:
    """The constraints above, told once more in Python."""
    x: list[Any] = [None if isinstance(value, float) and math.isnan(value) else value for value in row]
    n, floor, net, tax, gross, opened, closed, kind, part, _ = x
    adds_up = None in (net, tax, gross) or (
        math.isfinite(net + tax - gross) and abs(net + tax - gross) <= 1e-9 * (abs(net) + abs(tax) + abs(gross))
    )
    return (
        kind is not None
        and (n is None or -(2**40) <= n <= 10)
        and (gross is None or gross <= 100)
        and (kind, part) in TOGETHER
        and (part, n) in {("p", 1), ("q", 10)}
        and (opened is None or closed is None or opened <= closed)
        and (floor is None or gross is None or floor <= gross)
        and adds_up
    )


def same(one: tuple[Any, ...] | None, other: tuple[Any, ...] | None) -> bool:
    return repr(one) == repr(other)


@pytest.mark.parametrize("partitions", [1, 7])
def test_whatever_comes_what_leaves_keeps_all_and_what_kept_all_is_not_touched(
    spark: SparkSession, partitions: int
) -> None:
    bases = hostile_rows(1500, seed=1)
    good = [row for row in hostile_rows(100_000, seed=2) if keeps_all(row)]
    assert len(good) > 50
    bases = [base if i % 2 else good[i % len(good)] for i, base in enumerate(bases)]
    made = [row if i % 5 else good[i % len(good)] for i, row in enumerate(hostile_rows(1500, seed=3))]
    train = [(*row[:7], kind, part, None) for row, (kind, part) in zip(bases, itertools.cycle(TOGETHER), strict=False)]

    def mend(rows: Rows, their_bases: Rows) -> Mended:
        steps = {"gross": 0.1}
        return Mended(spark, HOSTILE, rows, their_bases, train, steps, partitions, **CONSTRAINTS)

    found = mend(made, bases)
    assert 0 < found.left_out == found.rows.count(None) < 800
    for row, base, out in zip(made, bases, found.rows, strict=True):
        assert not keeps_all(row) or same(out, row)
        assert not keeps_all(base) or out is not None
        assert out is None or keeps_all(out)
        assert out is None or out[-1] == row[-1]
    kept = [(out, base) for out, base in zip(found.rows, bases, strict=True) if out is not None]
    again = mend([out for out, _ in kept], [base for _, base in kept])
    assert all(same(*pair) for pair in zip(again.rows, [out for out, _ in kept], strict=True))
    assert all(counts.broken == 0 for counts in again.counts.values())

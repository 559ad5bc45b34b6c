"""Windows count the past of an entity as pandas does, exactly, and at a cost that does not grow with busy entities."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.real_data import published

from raresmith.config import WindowConfig
from raresmith.errors import ConfigError
from raresmith.spark.columns import ROW_ID
from raresmith.spark.prepare.windows import window_feature_names, with_windows

START = dt.datetime(2025, 1, 1)
WINDOWS = (
    WindowConfig(entity="card", days=(1, 7), mean=("amount",)),
    WindowConfig(entity="card", days=(1, 7), delay_days=2, risk=True, count=False),
)
SCHEMA = f"{ROW_ID} bigint, card string, t timestamp_ntz, amount double, fraud int"


def table(spark: SparkSession, rows: list[tuple[Any, ...]]) -> DataFrame:
    return spark.createDataFrame([(i, *row) for i, row in enumerate(rows)], SCHEMA)


def made(df: DataFrame, windows: Any = WINDOWS) -> DataFrame:
    return with_windows(df, windows, "t", F.col("fraud") == 1)


def test_a_window_holds_the_row_itself_and_not_the_moment_one_length_before(spark: SparkSession) -> None:
    hour = dt.timedelta(hours=1)
    rows = [
        ("a", START, 10.0, 1),
        ("a", START + 24 * hour, 20.0, 0),  # the first row is exactly a day old: outside
        ("a", START + 47 * hour, 40.0, 0),
        ("b", START + 47 * hour, 99.0, 0),
    ]
    names = ["card_count_1d", "card_mean_amount_1d", "card_count_7d", "card_mean_amount_7d", "card_risk_7d"]
    found = [tuple(row) for row in made(table(spark, rows)).orderBy(ROW_ID).select(*names).collect()]
    assert found == [
        (1, 10.0, 1, 10.0, 0.0),
        (1, 20.0, 2, 15.0, 0.0),
        (2, 30.0, 3, pytest.approx(70 / 3), 0.0),
        (1, 99.0, 1, 99.0, 0.0),
    ]


def test_risk_sees_a_label_only_after_the_delay(spark: SparkSession) -> None:
    rows = [("a", START + dt.timedelta(days=d), 1.0, int(d in (0, 1))) for d in range(5)]
    found = [row["card_risk_7d"] for row in made(table(spark, rows)).orderBy(ROW_ID).collect()]
    assert found == [0.0, 0.0, 1.0, 1.0, pytest.approx(2 / 3)]


def test_labels_that_may_not_be_looked_at_count_neither_above_nor_below_the_line(spark: SparkSession) -> None:
    """Of five rows of one card, a day apart, the labels of the second and the fourth are nobody's."""
    windows = (WindowConfig(entity="card", days=(7,), mean=("amount", "fraud"), risk=True, delay_days=1),)
    names = ["card_count_7d", "card_mean_amount_7d", "card_mean_fraud_7d", "card_risk_7d"]

    def found(frauds: tuple[int, ...]) -> list[tuple[Any, ...]]:
        rows = [("a", START + dt.timedelta(days=d), 10.0 * d, fraud) for d, fraud in enumerate(frauds)]
        done = with_windows(
            table(spark, rows), windows, "t", F.col("fraud") == 1,
            labels={"fraud"}, labelled=lambda entity: (F.col(ROW_ID) % 2 == 0) & (F.lit(entity) == "card"),
        )  # fmt: skip
        return [tuple(row) for row in done.orderBy(ROW_ID).select(*names).collect()]

    expected = [(0, 0, 0, 0), (1, 0, 1, 1), (2, 5, 1, 1), (3, 10, 0.5, 0.5), (4, 15, 0.5, 0.5)]
    assert found((1, 1, 0, 1, 0)) == expected
    assert found((1, 0, 0, 0, 1)) == expected


def test_rows_without_an_entity_have_no_past(spark: SparkSession) -> None:
    rows = [(None, START, 10.0, 1), (None, START + dt.timedelta(days=3), 20.0, 1)]
    names = window_feature_names(WINDOWS)
    assert {tuple(row) for row in made(table(spark, rows)).select(*names).collect()} == {(0,) * len(names)}


def test_values_that_are_no_amount_do_not_count_in_the_mean(spark: SparkSession) -> None:
    values = [10.0, None, float("nan"), float("inf"), 1e300, 20.0]
    rows = [("a", START + dt.timedelta(minutes=i), value, 0) for i, value in enumerate(values)]
    last = made(table(spark, rows)).orderBy(F.col(ROW_ID).desc()).first()
    assert last is not None
    assert (last["card_count_1d"], last["card_mean_amount_1d"]) == (6, 15.0)


def test_rows_of_the_same_moment_see_each_other(spark: SparkSession) -> None:
    rows = [("a", START, 10.0, 0), ("a", START, 30.0, 0), ("a", START + dt.timedelta(microseconds=1), 50.0, 0)]
    found = made(table(spark, rows)).orderBy(ROW_ID).select("card_count_1d", "card_mean_amount_1d").collect()
    assert [tuple(row) for row in found] == [(2, 20.0), (2, 20.0), (3, 30.0)]


def test_rows_without_a_time_are_in_nobodys_past(spark: SparkSession) -> None:
    rows = [("a", None, 10.0, 1), ("a", START, 30.0, 0), ("a", START + dt.timedelta(days=3), 50.0, 0)]
    found = made(table(spark, rows)).orderBy(ROW_ID).select("card_count_7d", "card_risk_7d").collect()
    assert [tuple(row) for row in found] == [(0, 0.0), (1, 0.0), (2, 0.0)]


def test_sums_of_cents_are_exact_in_any_order(spark: SparkSession) -> None:
    """0.1 + 0.2 + 0.3 is 0.6 here, whichever comes first; integers up to 64 bits count as they are."""
    amounts = [0.1, 0.2, 0.3] * 20 + [1e15, -1e15]
    df = table(spark, [("a", START, amount, 0) for amount in amounts]).withColumn("big", F.lit(2**63 - 1))
    windows = (WindowConfig(entity="card", days=(1,), mean=("amount", "big")),)
    for rows in (df, df.orderBy(F.desc(ROW_ID)), df.repartition(5)):
        first = made(rows, windows).first()
        assert first is not None
        assert (first["card_mean_amount_1d"], first["card_mean_big_1d"]) == (12.0 / 62, float(2**63 - 1))


def test_names_with_dots_and_back_ticks_and_dates_are_fine(spark: SparkSession) -> None:
    df = spark.createDataFrame(
        [(0, "a", dt.date(2025, 1, 1), 1), (1, "a", dt.date(2025, 1, 2), 2)],
        f"{ROW_ID} bigint, `c.d` string, `t ``t` date, `x y` int",
    )
    windows = (WindowConfig(entity="c.d", days=(1, 2), mean=("x y",)),)
    done = with_windows(df, windows, "t `t", F.lit(None).cast("boolean"))
    assert done.columns == [*df.columns, *window_feature_names(windows)]
    assert [tuple(row)[4:] for row in done.orderBy(ROW_ID).collect()] == [(1, 1.0, 1, 1.0), (1, 2.0, 2, 1.5)]


def test_a_feature_that_two_windows_make_is_refused() -> None:
    with pytest.raises(ConfigError, match="makes card_count_7d more than once"):
        window_feature_names((WindowConfig(entity="card", days=(1, 7)), WindowConfig(entity="card", days=(7,))))


def test_an_entity_costs_one_shuffle_and_one_window(spark: SparkSession) -> None:
    windows = (*WINDOWS, WindowConfig(entity="shop", days=(1, 30), risk=True, delay_days=7))
    df = table(spark, [("a", START, 1.0, 0)]).withColumn("shop", F.lit(1).cast("short"))
    plan = made(df.repartition(2), windows)._jdf.queryExecution().executedPlan().toString()
    assert plan.count("Exchange hashpartitioning") == 2
    assert sum(line.strip(" +-:").startswith("Window [") for line in plan.splitlines()) == 2


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 20 * 24), st.integers(0, 10_000), st.integers(0, 1)),
        min_size=1,
        max_size=40,
        unique_by=lambda row: row[1],
    )
)
def test_windows_equal_rolling_windows_of_pandas(spark: SparkSession, rows: list[tuple[str, int, int, int]]) -> None:
    raw = [(card, START + dt.timedelta(hours=h), cents / 100, fraud) for card, h, cents, fraud in rows]
    found = made(table(spark, raw)).toPandas().set_index(ROW_ID).sort_index()
    frame = pd.DataFrame(raw, columns=["card", "t", "amount", "fraud"]).sort_values("t").reset_index()
    for _, group in frame.groupby("card"):
        timed = group.set_index("t")
        got = found.loc[group["index"]]
        for days in (1, 7):
            rolling = timed["amount"].rolling(f"{days}D")
            assert got[f"card_count_{days}d"].tolist() == rolling.count().tolist()
            assert got[f"card_mean_amount_{days}d"].tolist() == pytest.approx(rolling.mean().tolist())
            far, near = timed["fraud"].rolling(f"{days + 2}D"), timed["fraud"].rolling("2D")
            count = far.count() - near.count()
            risk = ((far.sum() - near.sum()) / count.where(count > 0)).fillna(0)
            assert got[f"card_risk_{days}d"].tolist() == pytest.approx(risk.tolist())


@pytest.mark.real_data
def test_features_of_the_handbook_follow_its_definition(spark: SparkSession) -> None:
    """Train week of some cards and terminals; of the rows of one moment pandas sees those before, we see them all."""
    raw = spark.read.parquet(str(published("handbook"))).where(
        "TX_DATETIME < '2018-08-01' AND (CUSTOMER_ID % 20 = 7 OR TERMINAL_ID % 50 = 7)"
    )
    windows = (
        WindowConfig(entity="CUSTOMER_ID", mean=("TX_AMOUNT",)),
        WindowConfig(entity="TERMINAL_ID", delay_days=7, risk=True),
    )
    df = raw.withColumn(ROW_ID, F.col("TRANSACTION_ID").cast("bigint"))
    found = with_windows(df, windows, "TX_DATETIME", F.col("TX_FRAUD") == 1)
    week = found.where("TX_DATETIME >= '2018-07-25'").toPandas()
    past = raw.toPandas().sort_values(["TX_DATETIME", "TRANSACTION_ID"])

    def compared(entity: str, share: int) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        groups = dict(list(past.groupby(entity)))
        for key, ours in week[week[entity] % share == 7].groupby(entity):
            yield groups[key].set_index("TX_DATETIME"), ours.sort_values("TX_DATETIME")

    for timed, ours in compared("CUSTOMER_ID", 20):
        for days in (1, 7, 30):
            rolling = timed["TX_AMOUNT"].rolling(f"{days}d")
            expected = pd.DataFrame({"n": rolling.count(), "mean": rolling.mean()}).groupby(level=0).last()
            expected = expected.loc[ours["TX_DATETIME"]]
            assert ours[f"CUSTOMER_ID_count_{days}d"].tolist() == expected["n"].tolist()
            assert ours[f"CUSTOMER_ID_mean_TX_AMOUNT_{days}d"].tolist() == pytest.approx(expected["mean"].tolist())
    for timed, ours in compared("TERMINAL_ID", 50):
        late = timed["TX_FRAUD"].rolling("7d")
        for days in (1, 7, 30):
            both = timed["TX_FRAUD"].rolling(f"{7 + days}d")
            count, frauds = both.count() - late.count(), both.sum() - late.sum()
            expected = pd.DataFrame({"n": count, "risk": (frauds / count).fillna(0)}).groupby(level=0).last()
            expected = expected.loc[ours["TX_DATETIME"]]
            assert ours[f"TERMINAL_ID_count_{days}d"].tolist() == expected["n"].tolist()
            assert ours[f"TERMINAL_ID_risk_{days}d"].tolist() == pytest.approx(expected["risk"].tolist())

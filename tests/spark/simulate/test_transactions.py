"""Simulated transactions: the same everywhere, and like real ones where it matters."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import _parse_datatype_string
from pyspark.testing import assertDataFrameEqual
from tests.spark.conf import spark_conf

from raresmith.config import SimulateConfig, parse_config
from raresmith.spark.simulate.entities import IN_PERSON, ONLINE
from raresmith.spark.simulate.transactions import (
    COUNTRIES,
    NULL_SHARES,
    FraudRates,
    fraud_rates,
    simulate,
    transactions,
)
from raresmith.spark.stages.simulate import simulate_stage

CONFIG = SimulateConfig(rows=120_000, customers=1000, terminals=2000, start="2025-01-01", days=60, fraud_share=0.02)
SMALL = SimulateConfig(rows=3000, customers=50, terminals=80, days=30, fraud_share=0.1)


@pytest.fixture(scope="module")
def table(spark: SparkSession) -> pd.DataFrame:
    return simulate(spark, CONFIG, 3).toPandas().sort_values("transaction_id", ignore_index=True)


@pytest.fixture(params=["true", "false"])
def adaptive(spark: SparkSession, request: pytest.FixtureRequest) -> Iterator[str]:
    with spark_conf(spark, {"spark.sql.adaptive.enabled": request.param}):
        yield request.param


def test_the_columns_and_their_types_are_those_of_a_raw_table(spark: SparkSession) -> None:
    assert (
        simulate(spark, SMALL, 0).schema.simpleString()
        == _parse_datatype_string(
            "transaction_id bigint, tx_time timestamp, customer_id int, terminal_id int, merchant_category string, "
            "country string, channel string, amount double, cashback decimal(8,2), age_days int, is_recurring boolean, "
            "is_fraud int, fraud_scenario tinyint"
        ).simpleString()
    )


def test_as_many_rows_are_told_as_a_csv_file_has(spark: SparkSession, tmp_path: Path) -> None:
    document = {
        "run": {"name": "r", "warehouse": "w"},
        "source": {"path": "raw", "format": "csv", "label": "is_fraud"},
        "simulate": {"rows": 200, "customers": 5, "terminals": 8, "days": 5},
    }
    report = simulate_stage(spark, parse_config(document, tmp_path / "r.toml"))
    assert report.rows == {str(tmp_path / "raw"): 200}


@pytest.mark.parametrize("partitions", [1, 3, 8])
def test_the_rows_depend_on_neither_partitions_nor_adaptive_execution(
    spark: SparkSession, adaptive: str, partitions: int
) -> None:
    expected = simulate(spark, SMALL, 5)
    rates = fraud_rates(spark, SMALL, 5)
    shuffled = transactions(spark.range(SMALL.rows).repartition(partitions), SMALL, rates, 5)
    assertDataFrameEqual(shuffled, expected)


def test_a_row_does_not_depend_on_the_rows_beside_it(spark: SparkSession) -> None:
    rates = FraudRates(early=(0.01, 0.5, 0.5), late=(0.01, 0.5, 0.5))
    alone = transactions(spark.range(1234, 1235), SMALL, rates, 5)
    among = transactions(spark.range(SMALL.rows), SMALL, rates, 5).where("transaction_id = 1234")
    assertDataFrameEqual(alone, among)


def test_another_seed_gives_another_table(spark: SparkSession) -> None:
    ones, others = (simulate(spark, SMALL, seed).toPandas() for seed in (0, 1))
    for column in ("customer_id", "terminal_id", "amount", "tx_time"):
        assert (ones[column] == others[column]).mean() < 0.2, column


def test_numbers_are_dense_and_follow_time_through_the_days_asked_for(table: pd.DataFrame) -> None:
    assert table["transaction_id"].tolist() == list(range(CONFIG.rows))
    assert table["tx_time"].is_monotonic_increasing
    assert (table["tx_time"] == table["tx_time"].dt.floor("s")).all()
    days = table["tx_time"].dt.normalize()
    assert (days.min(), days.max()) == (pd.Timestamp("2025-01-01"), pd.Timestamp("2025-03-01"))
    assert days.nunique() == CONFIG.days


def test_a_start_within_a_week_and_a_year_of_days_stay_within_their_bounds(spark: SparkSession) -> None:
    config = SimulateConfig(rows=5000, start="2023-11-09", days=400)
    times = simulate(spark, config, 1).toPandas()["tx_time"]
    assert times.min().date() == pd.Timestamp("2023-11-09").date()
    assert pd.Timestamp("2024-12-11") < times.max() < pd.Timestamp("2024-12-13")


@pytest.mark.parametrize("share", [0.001, 0.01, 0.05, 0.5])
def test_the_share_of_fraud_is_the_one_asked_for(spark: SparkSession, share: float) -> None:
    config = SimulateConfig(rows=200_000, customers=2000, terminals=4000, fraud_share=share)
    frauds = simulate(spark, config, 11).agg({"is_fraud": "avg"}).collect()[0][0]
    assert frauds == pytest.approx(share, rel=0.2)


def test_few_customers_and_terminals_do_not_change_the_share_of_fraud(spark: SparkSession) -> None:
    config = SimulateConfig(rows=100_000, customers=20, terminals=10, fraud_share=0.01)
    assert simulate(spark, config, 0).agg({"is_fraud": "avg"}).collect()[0][0] == pytest.approx(0.01, rel=0.2)


def test_a_share_of_zero_gives_no_fraud(spark: SparkSession) -> None:
    config = SimulateConfig(rows=20_000, fraud_share=0.0)
    assert simulate(spark, config, 0).where("is_fraud <> 0 or fraud_scenario <> 0").count() == 0


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_the_smallest_of_everything_works(spark: SparkSession, rows: int) -> None:
    config = SimulateConfig(rows=rows, customers=1, terminals=1, days=1, fraud_share=0.5)
    made = simulate(spark, config, 2**63 - 1).toPandas()
    assert sorted(made["transaction_id"]) == list(range(rows))
    assert set(made["customer_id"]) == set(made["terminal_id"]) == {0}


def test_ids_stay_within_the_customers_and_terminals_and_use_nearly_all(table: pd.DataFrame) -> None:
    for column, count in (("customer_id", CONFIG.customers), ("terminal_id", CONFIG.terminals)):
        assert table[column].between(0, count - 1).all()
        assert table[column].nunique() > 0.95 * count


def test_the_label_says_whether_there_is_a_scenario(table: pd.DataFrame) -> None:
    assert ((table["fraud_scenario"] > 0) == (table["is_fraud"] == 1)).all()
    assert set(table["fraud_scenario"]) == {0, 1, 2, 3}


def test_nulls_have_the_stated_shares(table: pd.DataFrame) -> None:
    for column, share in NULL_SHARES.items():
        assert table[column].isna().mean() == pytest.approx(share, rel=0.25), column
    assert (table["cashback"].isna() == (table["channel"] == "online")).all()
    whole = table.drop(columns=[*NULL_SHARES, "cashback"])
    assert not whole.isna().any().any()


def test_category_and_country_belong_to_the_terminal(table: pd.DataFrame) -> None:
    of_terminal = table.groupby("terminal_id")
    assert of_terminal["merchant_category"].nunique().max() == 1
    assert of_terminal["country"].nunique().max() == 1
    assert set(table["merchant_category"].dropna()) == {*IN_PERSON, *ONLINE}
    assert set(table["country"].dropna()) == set(COUNTRIES)


def test_amounts_are_positive_whole_cents(table: pd.DataFrame) -> None:
    assert (table["amount"] > 0).all()
    assert (table["amount"] == table["amount"].round(2)).all()
    paid_out = table["cashback"].dropna()
    assert set(paid_out) == {Decimal(n) for n in ("0.00", "10.00", "20.00", "50.00")}
    assert (table.loc[table["cashback"].fillna(0) > 0, "merchant_category"].dropna() == "grocery").all()


def test_a_customer_has_usual_places_and_an_own_level_of_amounts(table: pd.DataFrame) -> None:
    in_person = table[(table["channel"] != "online") & (table["is_fraud"] == 0)]
    places = in_person.groupby("customer_id")["terminal_id"].agg(["nunique", "size"])
    assert (places["nunique"] / places["size"]).median() < 0.3
    grocery = in_person[in_person["merchant_category"] == "grocery"]
    halves = grocery.groupby([grocery["transaction_id"] % 2, "customer_id"])["amount"].median().unstack(0).dropna()
    assert halves[0].corr(halves[1], method="spearman") > 0.6


def test_days_and_weeks_have_their_rhythm(table: pd.DataFrame) -> None:
    by_hour = table["tx_time"].dt.hour.value_counts()
    assert by_hour[13] > 10 * by_hour[3]
    by_weekday = table["tx_time"].dt.weekday.value_counts() / table.groupby(table["tx_time"].dt.weekday)[
        "tx_time"
    ].apply(lambda times: times.dt.normalize().nunique())
    assert by_weekday[5] > 1.2 * by_weekday[1] > 1.2 * 1.05 * by_weekday[6]


def test_habits_and_frauds_drift(table: pd.DataFrame) -> None:
    third = pd.cut(table["transaction_id"], 3, labels=False)
    online = (table["channel"] == "online").groupby(third).mean()
    assert online[0] + 0.05 < online[2]
    honest = table[table["is_fraud"] == 0]
    assert honest.groupby(third)["amount"].median()[2] > honest.groupby(third)["amount"].median()[0]
    frauds = table[table["is_fraud"] == 1]
    of_cards = (frauds["fraud_scenario"] == 3).groupby(third).mean()
    assert of_cards[2] > 1.5 * of_cards[0]


def test_what_recurs_costs_about_the_same_each_time(table: pd.DataFrame) -> None:
    recurring = table[table["is_recurring"]]
    assert set(recurring["merchant_category"].dropna()) == {"streaming", "insurance", "digital goods"}
    spread = recurring.groupby(["customer_id", "terminal_id"])["amount"].agg(["std", "mean"]).dropna()
    # Only inflation moves it.
    assert (spread["std"] <= 0.02 * spread["mean"] + 0.01).all()


def test_high_amounts_are_far_above_what_the_customer_pays(table: pd.DataFrame) -> None:
    usual = table[table["is_fraud"] == 0].groupby("customer_id")["amount"].quantile(0.9)
    high = table[table["fraud_scenario"] == 1]
    assert (high["amount"] > 2 * high["customer_id"].map(usual)).mean() > 0.9


def test_terminals_are_compromised_for_28_days_and_cards_for_14(table: pd.DataFrame) -> None:
    for scenario, entity, days in ((2, "terminal_id", 28), (3, "customer_id", 14)):
        frauds = table[table["fraud_scenario"] == scenario]
        gaps = frauds.groupby(entity)["tx_time"].diff()
        spell = (gaps > pd.Timedelta(days=days)).groupby(frauds[entity]).cumsum()
        lengths = frauds.groupby([frauds[entity], spell])["tx_time"].agg(lambda times: times.max() - times.min())
        # Two spells may follow each other, most do not.
        assert (lengths <= pd.Timedelta(days=days)).mean() > 0.85
        # Most frauds happen where there were others: the past of the entity is worth knowing.
        assert (frauds.groupby(entity)[entity].transform("size") > 1).mean() > 0.8


def test_compromised_cards_are_used_online_with_raised_amounts(table: pd.DataFrame) -> None:
    of_cards = table[table["fraud_scenario"] == 3]
    assert (of_cards["channel"] == "online").all()
    honest = table[(table["channel"] == "online") & (table["is_fraud"] == 0)]
    assert of_cards["amount"].median() > 2 * honest["amount"].median()


def test_the_generated_code_is_short_enough_for_the_jvm_to_compile(
    spark: SparkSession, capsys: pytest.CaptureFixture[str]
) -> None:
    # HotSpot leaves methods above 8,000 bytes to its interpreter: the table then takes ten times as long.
    simulate(spark, SMALL, 0).explain("codegen")
    sizes = [int(size) for size in re.findall(r"maxMethodCodeSize:(\d+)", capsys.readouterr().out)]
    assert sizes and max(sizes) < 7000

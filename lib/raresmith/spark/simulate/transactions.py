"""Card transactions from nothing: customers, terminals, habits, and three kinds of fraud.

Every value is a hash of the seed, the name of the draw and the key it belongs to (transaction, customer, terminal),
so a row does not depend on how many tasks make the table, nor on which of them runs first. Customers and terminals are
never tables of their own: whoever needs a property of customer 7 computes it again.

The idea of the three frauds, with other rules, is that of Le Borgne, Siblini, Lebichot, Bontempi 2022, Reproducible
Machine Learning for Credit Card Fraud Detection: Practical Handbook, chapter 3.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from raresmith.config import SimulateConfig
from raresmith.spark.simulate.draws import constants, draw, normals, pick, uniform, whole
from raresmith.spark.simulate.entities import CATEGORIES, IN_PERSON, MIX_EARLY, MIX_LATE, ONLINE, chances

ROWS_PER_TASK = 500_000
PILOT_ROWS = 2**20
"""Most rows that are looked at to find how often the chances of fraud arise."""
RECURRING = ("streaming", "insurance", "digital goods")
COUNTRIES = {"DE": 0.30, "FR": 0.22, "IT": 0.14, "NL": 0.10, "PL": 0.09, "BE": 0.06, "AT": 0.05, "CH": 0.04}
CASHBACK = (Decimal("10.00"), Decimal("20.00"), Decimal("20.00"), Decimal("50.00"))

NULL_SHARES = {"merchant_category": 0.005, "country": 0.03, "age_days": 0.01}
"""Share of each column that is missing at random; cashback is null for every online transaction besides."""

INFLATION = 0.01
"""Growth of all amounts in 30 days."""
CARD_LIFE_DAYS = 1460
MOST_HIT = 0.95
NIGHT_WEIGHT = 4
"""How much likelier the high amounts of scenario 1 are from midnight to six."""


@dataclass(frozen=True, kw_only=True)
class FraudRates:
    """Probability that a transaction with the chance of a fraud becomes one, by scenario, before and after LATE."""

    early: tuple[float, float, float]
    late: tuple[float, float, float]


def simulate(spark: SparkSession, config: SimulateConfig, random_state: int) -> DataFrame:
    """Card transactions in order of time, `config.rows` of them; the same for the same seed on any cluster.

    One aggregation over at most `PILOT_ROWS` rows runs at once, to bring the share of fraud to `config.fraud_share`;
    the table itself is lazy.

    Columns: `transaction_id` (0, 1, ... in order of time), `tx_time` (to the second), `customer_id`, `terminal_id`,
    `merchant_category` and `country` (of the terminal), `channel`, `amount` (with cents), `cashback` decimal(8,2),
    `age_days` (of the card), `is_recurring`, `is_fraud` (0 or 1), and `fraud_scenario`, which says which kind of fraud
    it is and so is never a feature: 0 none, 1 an amount far above the customer's own, 2 a compromised terminal, for 28
    days, 3 the online use of a compromised card, for 14 days, with a raised amount.
    """
    tasks = -(-config.rows // ROWS_PER_TASK)
    rates = fraud_rates(spark, config, random_state)
    return transactions(spark.range(0, config.rows, 1, tasks), config, rates, random_state)


def transactions(ids: DataFrame, config: SimulateConfig, rates: FraudRates, random_state: int) -> DataFrame:
    """The transactions whose numbers are the column `id` of `ids`; see `simulate` for the columns."""
    rows = _with_fraud(chances(ids, config, random_state), rates, random_state)
    rows = _with_amount(rows, random_state)
    rows = _with_details(rows, random_state)
    return rows.select(
        F.col("id").alias("transaction_id"),
        F.timestamp_seconds(F.col("second")).alias("tx_time"),
        F.col("customer").alias("customer_id"),
        F.col("terminal").alias("terminal_id"),
        "merchant_category",
        "country",
        "channel",
        "amount",
        "cashback",
        "age_days",
        "is_recurring",
        (F.col("scenario") > 0).cast("int").alias("is_fraud"),
        F.col("scenario").cast("tinyint").alias("fraud_scenario"),
    )


def fraud_rates(spark: SparkSession, config: SimulateConfig, random_state: int) -> FraudRates:
    """The rates that give `config.fraud_share`, from counting the chances among evenly spaced transactions.

    Where compromised terminals and cards are too few for their part, scenario 1 makes up for them.
    """
    none = (0.0, 0.0, 0.0)
    if config.fraud_share == 0:
        return FraudRates(early=none, late=none)
    step = -(-config.rows // PILOT_ROWS)
    pilot = chances(spark.range(0, config.rows, step), config, random_state)
    groups = pilot.groupBy("late", "night", "terminal_hit", "card_hit").count().collect()
    rates = {}
    for late, mix in ((False, MIX_EARLY), (True, MIX_LATE)):
        rates[late] = _rates(sorted(g for g in groups if g["late"] == late), config.fraud_share, mix)
    return FraudRates(early=rates[False], late=rates[True])


def _rates(groups: Sequence[Row], share: float, mix: dict[int, float]) -> tuple[float, float, float]:
    """The three rates for one part of the days: scenario 2 is drawn first, then 3, then 1."""
    if not groups:
        return (0.0, 0.0, 0.0)
    total = sum(g["count"] for g in groups)
    left = {tuple(g): float(g["count"]) for g in groups}  # transactions not yet frauds, by group
    weight = {tuple(g): NIGHT_WEIGHT if g["night"] else 1 for g in groups}
    rates, wanted = {}, share * total
    for scenario, chance in ((2, "terminal_hit"), (3, "card_hit")):
        hit = [tuple(g) for g in groups if g[chance]]
        exposed = sum(left[key] for key in hit)
        rates[scenario] = min(MOST_HIT, share * mix[scenario] * total / exposed) if exposed else 0.0
        for key in hit:
            wanted -= left[key] * rates[scenario]
            left[key] *= 1 - rates[scenario]
    return (wanted / sum(left[key] * weight[key] for key in left), rates[2], rates[3])


def _with_fraud(rows: DataFrame, rates: FraudRates, random_state: int) -> DataFrame:
    """Add `scenario`: 0 for an honest transaction."""
    rates_now = [F.when(F.col("late"), b).otherwise(a) for a, b in zip(rates.early, rates.late, strict=True)]
    one = rates_now[0] * F.when(F.col("night"), float(NIGHT_WEIGHT)).otherwise(1.0)
    two = F.when(F.col("terminal_hit"), rates_now[1]).otherwise(0.0)
    three = F.when(F.col("card_hit"), rates_now[2]).otherwise(0.0)
    # One draw decides on all three: [0, two) is scenario 2, of the rest a part `three` is 3, of that rest `one` is 1.
    rows = rows.select("*", uniform(draw(random_state, "fate", F.col("id"))).alias("fate"), two.alias("second_kind"))
    rows = rows.withColumn("third_kind", F.col("second_kind") + (1 - F.col("second_kind")) * three)
    scenario = (
        F.when(F.col("fate") < F.col("second_kind"), 2)
        .when(F.col("fate") < F.col("third_kind"), 3)
        .when(F.col("fate") < F.col("third_kind") + (1 - F.col("third_kind")) * one, 1)
        .otherwise(0)
    )
    done = ("fate", "second_kind", "third_kind", "terminal_hit", "card_hit", "late")
    return rows.withColumn("scenario", scenario).drop(*done)


def _with_amount(rows: DataFrame, random_state: int) -> DataFrame:
    """Add `is_recurring` and `amount`: log-normal about the customer's own mean, shifted by category and time."""
    factors = [factor for _, factor in (*IN_PERSON.values(), *ONLINE.values())]
    customer, scenario = F.col("customer"), F.col("scenario")
    subscribed = F.col("category").isin(*[CATEGORIES.index(name) for name in RECURRING])
    again = uniform(draw(random_state, "again", customer, F.col("terminal"))) < 0.7
    rows = rows.withColumn("is_recurring", subscribed & again & (scenario == 0))
    # What recurs costs the same every time, so its draw belongs to customer and terminal, not to the transaction.
    key = F.when(F.col("is_recurring"), F.col("terminal").cast("long")).otherwise(F.col("id"))
    rows = rows.select(
        "*",
        draw(random_state, "amount", customer, key).alias("amount_bits"),
        draw(random_state, "means", customer).alias("means"),
        uniform(draw(random_state, "spread", customer)).alias("spread"),
        uniform(draw(random_state, "how much", F.col("id"))).alias("raised"),
        F.get(constants([math.log(f) for f in factors]), F.col("category")).alias("shift"),
    )
    own, _ = normals(F.col("means"))
    now, _ = normals(F.col("amount_bits"))
    growth = F.col("day") * (math.log1p(INFLATION) / 30)
    rows = rows.withColumn("usual", F.lit(math.log(28.0)) + 0.45 * own + growth)
    honest = F.exp(F.col("usual") + F.col("shift") + (0.3 + 0.3 * F.col("spread")) * now)
    high = 250 + F.exp(F.col("usual")) * (6 + 14 * F.col("raised"))
    raised = F.col("honest") * (3 + 4 * F.col("raised"))
    rows = rows.withColumn("honest", honest)
    value = F.when(scenario == 1, F.greatest(high, F.col("honest"))).when(scenario == 3, raised)
    # Rounding by a whole number of cents: F.round goes through BigDecimal, at ten times the cost.
    cents = F.greatest(F.lit(1), F.floor(F.coalesce(value, F.col("honest")) * 100 + 0.5))
    return rows.withColumn("amount", cents / 100).drop(
        "amount_bits", "means", "spread", "raised", "shift", "usual", "honest"
    )


def _with_details(rows: DataFrame, random_state: int) -> DataFrame:
    """Add `channel`, `merchant_category`, `country`, `cashback` and `age_days`, with their nulls."""
    rows = rows.select(
        "*",
        uniform(draw(random_state, "channel", F.col("id"))).alias("way"),
        uniform(draw(random_state, "cashback", F.col("id"))).alias("cash"),
        *[
            (uniform(draw(random_state, f"no {column}", F.col("id"))) < share).alias(f"no_{column}")
            for column, share in NULL_SHARES.items()
        ],
        whole(uniform(draw(random_state, "issued", F.col("customer"))), CARD_LIFE_DAYS).alias("issued"),
    )
    # A terminal that was tampered with reads the stripe more often; small amounts need no PIN.
    swiped = F.when(F.col("scenario") == 2, 0.15).otherwise(0.04)
    contactless = F.when(F.col("amount") < 50, 0.8).otherwise(0.25)
    channel = (
        F.when(F.col("online"), "online")
        .when(F.col("way") < swiped, "swipe")
        .when(F.col("way") < swiped + (1 - swiped) * contactless, "contactless")
        .otherwise("chip")
    )
    notes = F.array(*[F.lit(note) for note in CASHBACK]).cast("array<decimal(8,2)>")
    share = 0.06  # of the visits to a grocery
    given = F.when(
        (F.col("category") == CATEGORIES.index("grocery")) & (F.col("cash") < share),
        F.get(notes, F.least(whole(F.col("cash") * (1 / share), len(CASHBACK)), F.lit(len(CASHBACK) - 1))),
    ).otherwise(F.lit(Decimal("0.00")).cast("decimal(8,2)"))
    category = F.get(constants(CATEGORIES), F.col("category"))
    return rows.withColumns(
        {
            "channel": channel,
            "merchant_category": F.when(~F.col("no_merchant_category"), category),
            "country": F.when(~F.col("no_country"), pick(F.col("place"), COUNTRIES)),
            "cashback": F.when(~F.col("online"), given),
            "age_days": F.when(
                ~F.col("no_age_days"), F.pmod(F.col("day") + F.col("issued"), F.lit(CARD_LIFE_DAYS)).cast("int")
            ),
        }
    )

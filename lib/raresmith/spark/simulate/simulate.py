"""Card transactions from nothing: customers, terminals, habits, and three kinds of fraud.

Every value is a hash of the seed, the name of the draw and the key it belongs to (transaction, customer, terminal),
so a row does not depend on how many tasks make the table, nor on which of them runs first. Customers and terminals are
never tables of their own: whoever needs a property of customer 7 computes it again.

The idea of the three frauds, with other rules, is that of Le Borgne, Siblini, Lebichot, Bontempi 2022, Reproducible
Machine Learning for Credit Card Fraud Detection: Practical Handbook, chapter 3.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from raresmith.config import SimulateConfig

ROWS_PER_TASK = 500_000
PILOT_ROWS = 2**20
"""Most rows that are looked at to find how often the chances of fraud arise."""

IN_PERSON = {
    # category: (share of the terminals, factor on the amount)
    "grocery": (0.21, 0.9),
    "restaurant": (0.15, 0.8),
    "fuel": (0.10, 1.3),
    "clothing": (0.09, 1.5),
    "pharmacy": (0.08, 0.6),
    "bakery": (0.08, 0.2),
    "transport": (0.07, 0.4),
    "household": (0.06, 1.4),
    "hardware": (0.04, 1.7),
    "sports": (0.03, 1.6),
    "books": (0.03, 0.5),
    "electronics": (0.025, 3.5),
    "hotel": (0.02, 3.0),
    "jewellery": (0.015, 4.0),
}
ONLINE = {
    "marketplace": (0.34, 1.2),
    "digital goods": (0.20, 0.3),
    "streaming": (0.14, 0.3),
    "online fashion": (0.13, 1.6),
    "travel": (0.10, 4.0),
    "insurance": (0.05, 2.2),
    "gambling": (0.04, 1.1),
}
RECURRING = ("streaming", "insurance", "digital goods")
COUNTRIES = {"DE": 0.30, "FR": 0.22, "IT": 0.14, "NL": 0.10, "PL": 0.09, "BE": 0.06, "AT": 0.05, "CH": 0.04}
CASHBACK = (Decimal("10.00"), Decimal("20.00"), Decimal("20.00"), Decimal("50.00"))

NULL_SHARES = {"merchant_category": 0.005, "country": 0.03, "age_days": 0.01}
"""Share of each column that is missing at random; cashback is null for every online transaction besides."""

ONLINE_START, ONLINE_END = 0.18, 0.32
"""Share of online transactions on the first and on the last day."""
INFLATION = 0.01
"""Growth of all amounts in 30 days."""
CARD_LIFE_DAYS = 1460

LATE = 2 / 3
"""From this part of the days on the mix of frauds is another one."""
MIX_EARLY = {1: 0.30, 2: 0.45, 3: 0.25}
MIX_LATE = {1: 0.15, 2: 0.35, 3: 0.50}
TERMINAL_DAYS, CARD_DAYS = 28, 14
"""How long a terminal or a card stays compromised."""
TERMINAL_HIT, CARD_HIT = 0.75, 0.55
"""Share of frauds among a compromised terminal's transactions and a compromised card's online ones, about."""
MOST_HIT = 0.95
NIGHT_WEIGHT = 4
"""How much likelier the high amounts of scenario 1 are from midnight to six."""

SECONDS_PER_WEEK = 7 * 24 * 3600
WEEK_KNOTS = 336
PICKS = 200


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
    rows = _with_fraud(_chances(ids, config, random_state), rates, random_state)
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
    pilot = _chances(spark.range(0, config.rows, step), config, random_state)
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


# --- draws -----------------------------------------------------------------------------------------------------------


def _draw(random_state: int, name: str, *keys: Column) -> Column:
    """64 random bits for this draw and these keys, as a long."""
    # The name becomes a number once here; hashing text in every row would cost more than the draw.
    stream = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
    return F.xxhash64(F.lit(random_state).cast("long"), F.lit(stream).cast("long"), *keys)


def _uniform(bits: Column) -> Column:
    """A number in [0, 1) with 53 random bits."""
    return F.shiftrightunsigned(bits, 11).cast("double") * F.lit(2.0**-53)


def _normals(bits: Column) -> tuple[Column, Column]:
    """Two independent standard normal numbers (Box and Muller 1958, Ann. Math. Stat. 29:610-611)."""
    radius = F.sqrt(-2.0 * F.ln((F.shiftrightunsigned(bits, 32).cast("double") + 0.5) * F.lit(2.0**-32)))
    angle = bits.bitwiseAND(F.lit(0xFFFFFFFF)).cast("double") * F.lit(2 * math.pi * 2.0**-32)
    return radius * F.cos(angle), radius * F.sin(angle)


def _whole(uniform: Column, count: Column | int) -> Column:
    """A whole number in [0, count) from a uniform one."""
    return F.floor(uniform * count).cast("int")


def _table(values: Sequence[int] | Sequence[float] | Sequence[str]) -> Column:
    """A constant array; text without quotes in it."""
    # As one SQL text: building it from literals takes a call to the JVM for each value.
    return F.expr("array(" + ", ".join(f"{v!r}D" if isinstance(v, float) else repr(v) for v in values) + ")")


def _pick(uniform: Column, choices: dict[Any, float]) -> Column:
    """One of the keys of `choices` with its weight as probability, to 1 / PICKS."""
    # A table of equal slots is one look-up; a chain of WHENs would make code too long for the JVM to compile.
    ends = np.cumsum(list(choices.values())) / sum(choices.values())
    keys = list(choices)
    slots = [keys[i] for i in np.searchsorted(ends, (np.arange(PICKS) + 0.5) / PICKS)]
    return F.get(_table(slots), _whole(uniform, PICKS))


def _permute(rank: Column, count: int, random_state: int) -> Column:
    """A number in [0, count) for each rank in [0, count), one to one, so that ids do not follow the ranks."""
    factor = next(f for f in range(int(count * 0.618) + random_state % 1000 + 1, 2**40) if math.gcd(f, count) == 1)
    return F.pmod(rank.cast("long") * (factor % count) + random_state % count, F.lit(count)).cast("int")


# --- when, who, where ------------------------------------------------------------------------------------------------


def _weekly_rhythm() -> np.ndarray:
    """Seconds of the week (from Monday) before which k / WEEK_KNOTS of the transactions happen, for each k."""
    hours = np.arange(24)
    workday = 0.04 + np.exp(-(((hours - 12.5) / 3.5) ** 2)) + 0.9 * np.exp(-(((hours - 18.5) / 2.2) ** 2))
    weekend = 0.07 + 1.3 * np.exp(-(((hours - 14.5) / 4.5) ** 2)) + 0.25 * np.exp(-(((hours - 21.5) / 2.0) ** 2))
    days = zip([workday] * 5 + [weekend] * 2, [0.94, 0.95, 0.97, 1.02, 1.17, 1.22, 0.83], strict=True)
    volume = np.concatenate([shape / shape.sum() * size for shape, size in days])
    before = np.concatenate([[0.0], np.cumsum(volume)]) / volume.sum()
    seconds: np.ndarray = np.interp(np.arange(WEEK_KNOTS + 1) / WEEK_KNOTS, before, np.arange(169) * 3600.0)
    return seconds


def _midnight(config: SimulateConfig) -> int:
    """Seconds since 1970 at which the first day starts."""
    day = datetime.fromisoformat(config.start).date()
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _second(config: SimulateConfig, random_state: int) -> Column:
    """Seconds since 1970 of a transaction: a growing function of its number, with jitter inside its slot."""
    knots = _weekly_rhythm()
    weekday = datetime.fromisoformat(config.start).weekday()
    monday = _midnight(config) - weekday * 86400

    def position(seconds: int) -> float:
        weeks, rest = divmod(seconds, SECONDS_PER_WEEK)
        return weeks + float(np.interp(rest, knots, np.arange(WEEK_KNOTS + 1) / WEEK_KNOTS))

    # Positions count in weeks of business: each week adds 1, and the knots say where in the week a part of it lies.
    first = weekday * 86400
    last = first + config.days * 86400
    low, high = position(first), position(last)
    jitter = _uniform(_draw(random_state, "time", F.col("id")))
    at = F.lit(low) + (F.col("id").cast("double") + jitter) * F.lit((high - low) / config.rows)
    week = F.floor(at)
    knot = F.least((at - week) * WEEK_KNOTS, F.lit(WEEK_KNOTS - 1e-6))
    index = F.floor(knot).cast("int")
    table = _table(knots.tolist())
    here, there = F.get(table, index), F.get(table, index + 1)
    second = F.floor(week * SECONDS_PER_WEEK + here + (knot - index) * (there - here))
    return F.greatest(F.lit(first), F.least(F.lit(last - 1), second)) + F.lit(monday)


def _chances(ids: DataFrame, config: SimulateConfig, random_state: int) -> DataFrame:
    """When, who and where for each id, and whether a compromised terminal or card gives the chance of a fraud."""
    begins = _midnight(config)
    rows = ids.select("id", _second(config, random_state).alias("second"))
    # How busy a customer is falls with the rank, from 4 times the usual to 0.57 times.
    busy = _uniform(_draw(random_state, "who", F.col("id")))
    rows = rows.select(
        "*",
        F.floor((F.col("second") - (begins - 0.5)) * (1 / 86400)).cast("int").alias("day"),
        ((F.col("second") - begins) * (1 / (config.days * 86400))).alias("progress"),
        (F.pmod(F.col("second"), F.lit(86400)) < 6 * 3600).alias("night"),
        busy.alias("busy"),
    )
    rank = F.least(_whole(F.col("busy") * (0.25 + 0.75 * F.col("busy")), config.customers), F.lit(config.customers - 1))
    online_share = F.lit(ONLINE_START) + F.col("progress") * (ONLINE_END - ONLINE_START)
    online_share = online_share + F.when(F.col("night"), 0.3).otherwise(0.0)
    rows = rows.select(
        "*",
        _permute(rank, config.customers, random_state).alias("customer"),
        (F.col("progress") >= LATE).alias("late"),
        (_uniform(_draw(random_state, "online", F.col("id"))) < online_share).alias("online"),
    ).drop("busy")
    rows = _with_terminal(rows, config, random_state)
    mean_mix = {s: LATE * MIX_EARLY[s] + (1 - LATE) * MIX_LATE[s] for s in MIX_EARLY}
    online_mean = (ONLINE_START + ONLINE_END) / 2
    terminals = min(0.5, config.fraud_share * mean_mix[2] / TERMINAL_HIT)
    cards = min(0.5, config.fraud_share * mean_mix[3] / (CARD_HIT * online_mean))
    rows = rows.select(
        "*",
        _compromised("terminal", TERMINAL_DAYS, terminals, random_state).alias("terminal_hit"),
        (F.col("online") & _compromised("customer", CARD_DAYS, cards, random_state)).alias("card_hit"),
    )
    # More partitions than there are: nothing moves. But Spark ends a generated method here, and the JVM compiles no
    # method above 8,000 bytes of code: in one piece the table takes ten times as long.
    return rows.coalesce(2**20)


def _compromised(who: str, days: int, share: float, random_state: int) -> Column:
    """Whether `who` is compromised on this day: each spell lasts `days`, and spells start on any day."""
    # Each has its own calendar of spells, shifted by a draw: one hash says what 28 hashes, one a day, would.
    shift = _whole(_uniform(_draw(random_state, f"{who} shift", F.col(who))), days)
    spell = F.floor((F.col("day") + shift + 0.5) * (1 / days))
    return _uniform(_draw(random_state, f"{who} hit", F.col(who), spell)) < share


def _with_terminal(rows: DataFrame, config: SimulateConfig, random_state: int) -> DataFrame:
    """Add `terminal`, `category` (its number) and `place` (a number in [0, 1) that becomes the country).

    The map is a square that wraps around, cut into cells; physical terminal number n lies in cell n mod cells. A
    customer has some usual places around home, each a draw, so the terminals near are found without a table of them.
    One terminal in eight is an online shop and lies nowhere.
    """
    shops = max(1, config.terminals // 8)
    first = shops if config.terminals > 1 else 0
    physical = config.terminals - first
    side = max(1, int(math.sqrt(physical / 2)))
    cells = side * side
    customer, online = F.col("customer"), F.col("online")

    habit = _uniform(_draw(random_state, "habit", F.col("id")))
    usual = 4 + _whole(_uniform(_draw(random_state, "usual", customer)), 14)
    rows = rows.select("*", habit.alias("habit"), usual.alias("usual"))
    # Every twentieth transaction is somewhere new, the others at the usual places, the first of them most often.
    away = F.col("habit") >= 0.95
    slot = F.when(away, F.col("id")).otherwise(
        _whole(F.pow(F.col("habit") * (1 / 0.95), 2.0), F.col("usual")).cast("long")
    )
    rows = rows.select("*", away.alias("away"), slot.alias("slot")).drop("habit", "usual")
    rows = rows.select(
        "*",
        _draw(random_state, "spot", customer, F.col("slot"), online).alias("spot"),
        _draw(random_state, "home", customer).alias("home"),
        _uniform(_draw(random_state, "reach", customer)).alias("reach"),
    ).drop("slot")
    east, north = _normals(F.col("spot"))
    reach = F.when(F.col("away"), 0.3).otherwise(0.01 + 0.06 * F.col("reach"))
    home_x = F.shiftrightunsigned("home", 32).cast("double") * F.lit(2.0**-32)
    home_y = F.col("home").bitwiseAND(F.lit(0xFFFFFFFF)).cast("double") * F.lit(2.0**-32)
    rows = rows.select(
        "*",
        F.least(_whole(F.pmod(home_x + reach * east, F.lit(1.0)), side), F.lit(side - 1)).alias("x"),
        F.least(_whole(F.pmod(home_y + reach * north, F.lit(1.0)), side), F.lit(side - 1)).alias("y"),
        _uniform(_draw(random_state, "which", F.col("spot"))).alias("which"),
    ).drop("away", "spot", "home", "reach")
    cell = F.col("x") + F.col("y") * side
    in_cell = F.floor((F.lit(physical - 0.5) - cell) * (1 / cells)) + 1
    nearby = first + cell + _whole(F.col("which"), in_cell) * cells
    shop = _whole(F.pow(F.col("which"), 2.0), shops)
    rows = rows.select("*", F.when(online, shop).otherwise(nearby).alias("rank")).drop("y", "which")
    names = list(IN_PERSON) + list(ONLINE)
    kind = _uniform(_draw(random_state, "kind", F.col("rank")))
    land = _uniform(_draw(random_state, "land", F.col("rank")))
    in_person = _pick(kind, {names.index(name): share for name, (share, _) in IN_PERSON.items()})
    on_line = _pick(kind, {names.index(name): share for name, (share, _) in ONLINE.items()})
    return rows.select(
        "*",
        _permute(F.col("rank"), config.terminals, random_state + 1).alias("terminal"),
        F.when(online, on_line).otherwise(in_person).alias("category"),
        F.when(online, land).otherwise((F.col("x") + land) * (1 / side)).alias("place"),
    ).drop("x", "rank")


# --- what ------------------------------------------------------------------------------------------------------------


def _with_fraud(rows: DataFrame, rates: FraudRates, random_state: int) -> DataFrame:
    """Add `scenario`: 0 for an honest transaction."""
    rates_now = [F.when(F.col("late"), b).otherwise(a) for a, b in zip(rates.early, rates.late, strict=True)]
    one = rates_now[0] * F.when(F.col("night"), float(NIGHT_WEIGHT)).otherwise(1.0)
    two = F.when(F.col("terminal_hit"), rates_now[1]).otherwise(0.0)
    three = F.when(F.col("card_hit"), rates_now[2]).otherwise(0.0)
    # One draw decides on all three: [0, two) is scenario 2, of the rest a part `three` is 3, of that rest `one` is 1.
    rows = rows.select("*", _uniform(_draw(random_state, "fate", F.col("id"))).alias("fate"), two.alias("second_kind"))
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
    names = list(IN_PERSON) + list(ONLINE)
    factors = [factor for _, factor in (*IN_PERSON.values(), *ONLINE.values())]
    customer, scenario = F.col("customer"), F.col("scenario")
    subscribed = F.col("category").isin(*[names.index(name) for name in RECURRING])
    again = _uniform(_draw(random_state, "again", customer, F.col("terminal"))) < 0.7
    rows = rows.withColumn("is_recurring", subscribed & again & (scenario == 0))
    # What recurs costs the same every time, so its draw belongs to customer and terminal, not to the transaction.
    key = F.when(F.col("is_recurring"), F.col("terminal").cast("long")).otherwise(F.col("id"))
    rows = rows.select(
        "*",
        _draw(random_state, "amount", customer, key).alias("amount_bits"),
        _draw(random_state, "means", customer).alias("means"),
        _uniform(_draw(random_state, "spread", customer)).alias("spread"),
        _uniform(_draw(random_state, "how much", F.col("id"))).alias("raised"),
        F.get(_table([math.log(f) for f in factors]), F.col("category")).alias("shift"),
    )
    own, _ = _normals(F.col("means"))
    now, _ = _normals(F.col("amount_bits"))
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
    names = list(IN_PERSON) + list(ONLINE)
    rows = rows.select(
        "*",
        _uniform(_draw(random_state, "channel", F.col("id"))).alias("way"),
        _uniform(_draw(random_state, "cashback", F.col("id"))).alias("cash"),
        *[
            (_uniform(_draw(random_state, f"no {column}", F.col("id"))) < share).alias(f"no_{column}")
            for column, share in NULL_SHARES.items()
        ],
        _whole(_uniform(_draw(random_state, "issued", F.col("customer"))), CARD_LIFE_DAYS).alias("issued"),
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
        (F.col("category") == names.index("grocery")) & (F.col("cash") < share),
        F.get(notes, F.least(_whole(F.col("cash") * (1 / share), len(CASHBACK)), F.lit(len(CASHBACK) - 1))),
    ).otherwise(F.lit(Decimal("0.00")).cast("decimal(8,2)"))
    category = F.get(_table(names), F.col("category"))
    return rows.withColumns(
        {
            "channel": channel,
            "merchant_category": F.when(~F.col("no_merchant_category"), category),
            "country": F.when(~F.col("no_country"), _pick(F.col("place"), COUNTRIES)),
            "cashback": F.when(~F.col("online"), given),
            "age_days": F.when(
                ~F.col("no_age_days"), F.pmod(F.col("day") + F.col("issued"), F.lit(CARD_LIFE_DAYS)).cast("int")
            ),
        }
    )

"""When, who and where: customers and terminals are never tables, whoever needs a property of customer 7 computes it.

Every value is a draw keyed by what it belongs to (transaction, customer, terminal).
"""

import math
from datetime import UTC, datetime

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from raresmith.config import SimulateConfig
from raresmith.spark.simulate.draws import constants, draw, normals, permute, pick, uniform, whole

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
CATEGORIES = (*IN_PERSON, *ONLINE)
"""A category is its place here until the table is finished."""

ONLINE_START, ONLINE_END = 0.18, 0.32
"""Share of online transactions on the first and on the last day."""
LATE = 2 / 3
"""From this part of the days on the mix of frauds is another one."""
MIX_EARLY = {1: 0.30, 2: 0.45, 3: 0.25}
MIX_LATE = {1: 0.15, 2: 0.35, 3: 0.50}
TERMINAL_DAYS, CARD_DAYS = 28, 14
"""How long a terminal or a card stays compromised."""
TERMINAL_HIT, CARD_HIT = 0.75, 0.55
"""Share of frauds among a compromised terminal's transactions and a compromised card's online ones, about."""
SECONDS_PER_WEEK = 7 * 24 * 3600
WEEK_KNOTS = 336


def chances(ids: DataFrame, config: SimulateConfig, random_state: int) -> DataFrame:
    """When, who and where for each id, and whether a compromised terminal or card gives the chance of a fraud."""
    begins = _midnight(config)
    rows = ids.select("id", _second(config, random_state).alias("second"))
    # How busy a customer is falls with the rank, from 4 times the usual to 0.57 times.
    busy = uniform(draw(random_state, "who", F.col("id")))
    rows = rows.select(
        "*",
        F.floor((F.col("second") - (begins - 0.5)) * (1 / 86400)).cast("int").alias("day"),
        ((F.col("second") - begins) * (1 / (config.days * 86400))).alias("progress"),
        (F.pmod(F.col("second"), F.lit(86400)) < 6 * 3600).alias("night"),
        busy.alias("busy"),
    )
    rank = F.least(whole(F.col("busy") * (0.25 + 0.75 * F.col("busy")), config.customers), F.lit(config.customers - 1))
    online_share = F.lit(ONLINE_START) + F.col("progress") * (ONLINE_END - ONLINE_START)
    online_share = online_share + F.when(F.col("night"), 0.3).otherwise(0.0)
    rows = rows.select(
        "*",
        permute(rank, config.customers, random_state).alias("customer"),
        (F.col("progress") >= LATE).alias("late"),
        (uniform(draw(random_state, "online", F.col("id"))) < online_share).alias("online"),
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
    jitter = uniform(draw(random_state, "time", F.col("id")))
    at = F.lit(low) + (F.col("id").cast("double") + jitter) * F.lit((high - low) / config.rows)
    week = F.floor(at)
    knot = F.least((at - week) * WEEK_KNOTS, F.lit(WEEK_KNOTS - 1e-6))
    index = F.floor(knot).cast("int")
    table = constants(knots.tolist())
    here, there = F.get(table, index), F.get(table, index + 1)
    second = F.floor(week * SECONDS_PER_WEEK + here + (knot - index) * (there - here))
    return F.greatest(F.lit(first), F.least(F.lit(last - 1), second)) + F.lit(monday)


def _midnight(config: SimulateConfig) -> int:
    """Seconds since 1970 at which the first day starts."""
    day = datetime.fromisoformat(config.start).date()
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


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


def _compromised(who: str, days: int, share: float, random_state: int) -> Column:
    """Whether `who` is compromised on this day: each spell lasts `days`, and spells start on any day."""
    # Each has its own calendar of spells, shifted by a draw: one hash says what 28 hashes, one a day, would.
    shift = whole(uniform(draw(random_state, f"{who} shift", F.col(who))), days)
    spell = F.floor((F.col("day") + shift + 0.5) * (1 / days))
    return uniform(draw(random_state, f"{who} hit", F.col(who), spell)) < share


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

    habit = uniform(draw(random_state, "habit", F.col("id")))
    usual = 4 + whole(uniform(draw(random_state, "usual", customer)), 14)
    rows = rows.select("*", habit.alias("habit"), usual.alias("usual"))
    # Every twentieth transaction is somewhere new, the others at the usual places, the first of them most often.
    away = F.col("habit") >= 0.95
    slot = F.when(away, F.col("id")).otherwise(
        whole(F.pow(F.col("habit") * (1 / 0.95), 2.0), F.col("usual")).cast("long")
    )
    rows = rows.select("*", away.alias("away"), slot.alias("slot")).drop("habit", "usual")
    rows = rows.select(
        "*",
        draw(random_state, "spot", customer, F.col("slot"), online).alias("spot"),
        draw(random_state, "home", customer).alias("home"),
        uniform(draw(random_state, "reach", customer)).alias("reach"),
    ).drop("slot")
    east, north = normals(F.col("spot"))
    reach = F.when(F.col("away"), 0.3).otherwise(0.01 + 0.06 * F.col("reach"))
    home_x = F.shiftrightunsigned("home", 32).cast("double") * F.lit(2.0**-32)
    home_y = F.col("home").bitwiseAND(F.lit(0xFFFFFFFF)).cast("double") * F.lit(2.0**-32)
    rows = rows.select(
        "*",
        F.least(whole(F.pmod(home_x + reach * east, F.lit(1.0)), side), F.lit(side - 1)).alias("x"),
        F.least(whole(F.pmod(home_y + reach * north, F.lit(1.0)), side), F.lit(side - 1)).alias("y"),
        uniform(draw(random_state, "which", F.col("spot"))).alias("which"),
    ).drop("away", "spot", "home", "reach")
    cell = F.col("x") + F.col("y") * side
    in_cell = F.floor((F.lit(physical - 0.5) - cell) * (1 / cells)) + 1
    nearby = first + cell + whole(F.col("which"), in_cell) * cells
    shop = whole(F.pow(F.col("which"), 2.0), shops)
    rows = rows.select("*", F.when(online, shop).otherwise(nearby).alias("rank")).drop("y", "which")
    kind = uniform(draw(random_state, "kind", F.col("rank")))
    land = uniform(draw(random_state, "land", F.col("rank")))
    in_person = pick(kind, {CATEGORIES.index(name): share for name, (share, _) in IN_PERSON.items()})
    on_line = pick(kind, {CATEGORIES.index(name): share for name, (share, _) in ONLINE.items()})
    return rows.select(
        "*",
        permute(F.col("rank"), config.terminals, random_state + 1).alias("terminal"),
        F.when(online, on_line).otherwise(in_person).alias("category"),
        F.when(online, land).otherwise((F.col("x") + land) * (1 / side)).alias("place"),
    ).drop("x", "rank")

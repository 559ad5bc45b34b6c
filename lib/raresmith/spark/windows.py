"""Features of what an entity (a card, a terminal) did before."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from raresmith.config import WindowConfig
from raresmith.spark.tables import col
from raresmith.spark.working import ROW_ID

_TIME = "__time"
_POSITIVE = "__positive"
_MICROSECONDS_A_DAY = 24 * 60 * 60 * 1_000_000
_EXACT = "decimal(28,6)"
"""Amounts are summed in millionths, exactly: a sum of floats would depend on the order of rows of one moment. Values
that do not fit (above 10^22, NaN, infinite) do not count."""


def window_feature_names(windows: Sequence[WindowConfig]) -> list[str]:
    """The names of the features that `with_windows` adds, in order."""
    return [name for window in windows for name in _names(window)]


def _names(window: WindowConfig) -> list[str]:
    counts = [f"{window.entity}_count_{days}d" for days in window.days if window.count]
    means = [f"{window.entity}_mean_{column}_{days}d" for column in window.mean for days in window.days]
    risks = [f"{window.entity}_risk_{days}d" for days in window.days if window.risk]
    return counts + means + risks


def with_windows(df: DataFrame, windows: Sequence[WindowConfig], timestamp: str, positive: Column) -> DataFrame:
    """`df` with the features of `windows`: counts long, means and risks double, 0 where a window is empty.

    A window (t - delay - days, t - delay] is the difference of two running totals, so that a row costs the same
    however busy its entity is; Spark would go through every row of a sliding frame again. Each entity is one shuffle,
    one sort and one Window operator. A row without an entity has no past: all 0.

    Parameters
    ----------
    df : DataFrame with ROW_ID
    positive : Column of boolean
        Whether a row is of the class that `risk` counts.
    """
    if not windows:
        return df
    names = df.columns
    rows = df.withColumns(
        {_TIME: F.unix_micros(col(timestamp).cast("timestamp")), _POSITIVE: F.coalesce(positive, F.lit(False))}
    )
    entities = dict.fromkeys(window.entity for window in windows)
    for entity in entities:
        # Rows without an entity would be one huge group.
        alone = F.when(col(entity).isNull(), F.col(ROW_ID))
        ordered = Window.partitionBy(col(entity), alone).orderBy(_TIME)
        features: dict[str, Column] = {}
        for window in (w for w in windows if w.entity == entity):
            features |= _features(window, ordered)
        known = col(entity).isNotNull()
        rows = rows.withColumns({name: F.when(known, value).otherwise(0) for name, value in features.items()})
    return rows.select(*[col(name) for name in (*names, *window_feature_names(windows))])


def _features(window: WindowConfig, ordered: WindowSpec) -> dict[str, Column]:
    def total(value: Column, days: int) -> Column:
        """Sum of `value` over all rows at least `days` days old."""
        frame = ordered.rangeBetween(Window.unboundedPreceding, -days * _MICROSECONDS_A_DAY)
        return F.coalesce(F.sum(value).over(frame), F.lit(0))

    def within(value: Column, days: int) -> Column:
        return total(value, window.delay_days) - total(value, window.delay_days + days)

    def ratio(part: Column, whole: Column) -> Column:
        return F.when(whole > 0, part.cast("double") / whole).otherwise(F.lit(0.0))

    one = F.lit(1).cast("bigint")
    features = {}
    for days in window.days:
        if window.count:
            features[f"{window.entity}_count_{days}d"] = within(one, days)
        for column in window.mean:
            value = col(column).try_cast(_EXACT)
            known = F.when(value.isNotNull(), one)
            features[f"{window.entity}_mean_{column}_{days}d"] = ratio(within(value, days), within(known, days))
        if window.risk:
            risky = F.col(_POSITIVE).cast("bigint")
            features[f"{window.entity}_risk_{days}d"] = ratio(within(risky, days), within(one, days))
    return {name: features[name] for name in _names(window)}

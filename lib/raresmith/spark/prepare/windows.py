"""Features of an entity's past: how many rows, their mean, the share of positive ones.

A sliding frame costs rows in the window times rows of the entity, which is quadratic for a busy terminal. Here each
window is the difference of two running totals, which Spark carries forward in one pass over the sorted rows, so the
work is rows times edges whatever the entity. Totals are counts and decimals: a difference of float sums would depend
on the order of the rows.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from raresmith.config import WindowConfig
from raresmith.errors import ConfigError
from raresmith.spark.columns import ROW_ID, col

DAY = 86_400_000_000
"""Microseconds."""
SUMMAND = "decimal(27,8)"
"""Values of a mean: below 10^19 in size, so any 64-bit integer, and exact to 10^-8. Spark adds 10^10 of them in
decimal(37,8), and the difference of two such sums keeps all digits."""

_AT, _ALONE, _POSITIVE = "__window_at", "__window_alone", "__window_positive"


def window_feature_names(windows: Sequence[WindowConfig]) -> list[str]:
    """Columns that `with_windows` adds, in order: window by window, days by days; count, means, risk.

    Raises
    ------
    ConfigError
        If two of them have the same name.
    """
    names = [name for window in windows for name in _names(window)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"prepare.windows makes {', '.join(twice)} more than once; "
            "give the windows of one entity different days or different features"
        )
    return names


def _names(window: WindowConfig) -> list[str]:
    names = []
    for days in window.days:
        names += [f"{window.entity}_count_{days}d"] if window.count else []
        names += [f"{window.entity}_mean_{column}_{days}d" for column in window.mean]
        names += [f"{window.entity}_risk_{days}d"] if window.risk else []
    return names


def with_windows(
    df: DataFrame,
    windows: Sequence[WindowConfig],
    timestamp: str,
    positive: Column,
    *,
    labels: Collection[str] = (),
    labelled: Callable[[str], Column] = lambda _: F.lit(True),
) -> DataFrame:
    """`df` with the columns `window_feature_names(windows)`; one shuffle and sort for each different entity.

    A row at time t looks at the rows of its entity in (t - delay - days, t - delay], to the microsecond: without a
    delay it sees itself and all rows of the very same time.

    Parameters
    ----------
    df : DataFrame with ROW_ID
        A row whose entity or timestamp is null has nobody's past (0 everywhere) and is in nobody's.
    timestamp
        Column of type timestamp, timestamp_ntz or date.
    positive
        Boolean condition that risk is the share of; null counts as false.
    labels
        Columns of means that tell the label.
    labelled
        For windows of an entity the condition of the rows whose labels may be looked at: risk and the means of `labels`
        are those of such rows alone. Counts and other means look at all rows, for what they see was known when the row
        happened.

    Returns
    -------
    DataFrame
        Counts are bigint; means and risks are double, 0 where there is nothing to average. Nulls, NaN, infinite
        numbers and numbers of 10^19 or more do not count in a mean; others are rounded to 8 decimals.
    """
    names = window_feature_names(windows)
    columns = df.columns
    for entity in dict.fromkeys(window.entity for window in windows):
        own, told = [window for window in windows if window.entity == entity], labelled(entity)
        values = {name: F.when(told, col(name)) if name in labels else col(name) for w in own for name in w.mean}
        df = _with_past(df, own, timestamp, values, F.when(told, F.coalesce(positive, F.lit(False))))
    return df.select(*[col(name) for name in (*columns, *names)])


def _with_past(
    df: DataFrame, windows: Sequence[WindowConfig], timestamp: str, values: Mapping[str, Column], positive: Column
) -> DataFrame:
    """`df` with the features of windows of one entity; null `values` do not count in means, nor null in risk."""
    entity, means = windows[0].entity, list(values)
    known = col(entity).isNotNull() & col(timestamp).isNotNull()
    working = {
        _AT: F.unix_micros(col(timestamp).cast("timestamp")),
        # All rows without an entity in one group would be one task's work.
        _ALONE: F.when(~known, col(ROW_ID)),
        _POSITIVE: positive,
        **{f"__window_value_{i}": value.try_cast(SUMMAND) for i, value in enumerate(values.values())},
    }
    past = Window.partitionBy(col(entity), _ALONE).orderBy(_AT)
    aggregates = {
        "rows": F.count(F.lit(1)),
        "labelled": F.count(_POSITIVE),
        "positives": F.count(F.when(F.col(_POSITIVE), 1)),
    }
    for i in range(len(means)):
        aggregates[f"values_{i}"] = F.count(f"__window_value_{i}")
        aggregates[f"sum_{i}"] = F.sum(f"__window_value_{i}")
    totals: dict[str, Column] = {}

    def total(what: str, days_ago: int) -> Column:
        """The running total of `what` over all rows up to `days_ago` before this one."""
        name = f"__window_{what}_{days_ago}"
        totals[name] = aggregates[what].over(past.rangeBetween(Window.unboundedPreceding, -days_ago * DAY))
        return F.coalesce(F.col(name), F.lit(0))

    features: dict[str, Column] = {}
    for window in windows:
        for days in window.days:

            def within(what: str, newest: int = window.delay_days, oldest: int = window.delay_days + days) -> Column:
                return total(what, newest) - total(what, oldest)

            if window.count:
                features[f"{entity}_count_{days}d"] = within("rows")
            for column in window.mean:
                i = means.index(column)
                features[f"{entity}_mean_{column}_{days}d"] = _share(within(f"sum_{i}"), within(f"values_{i}"))
            if window.risk:
                features[f"{entity}_risk_{days}d"] = _share(within("positives"), within("labelled"))
    kept = [col(name) for name in df.columns]
    return (
        df.withColumns(working)
        .select("*", *[column.alias(name) for name, column in totals.items()])
        .select(*kept, *[F.when(known, feature).otherwise(0).alias(name) for name, feature in features.items()])
    )


def _share(part: Column, whole: Column) -> Column:
    return F.when(whole > 0, part.cast("double") / whole).otherwise(F.lit(0.0))

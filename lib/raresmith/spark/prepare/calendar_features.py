"""What the clock and the calendar say about a row."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.spark.columns import col

SATURDAY = 5
LAST_NIGHT_HOUR = 6


def with_calendar(df: DataFrame, names: Sequence[str], timestamp: str) -> DataFrame:
    """`df` with a column for each of `names`, read from the column `timestamp` in the session's time zone.

    Parameters
    ----------
    names
        Of prepare.calendar: weekend and night are boolean; hour (0-23), weekday (0 is Monday) and day (of the month)
        are int. Null where the timestamp is null. None is a column of `df`, in whatever case.
    timestamp
        Column of type timestamp, timestamp_ntz or date; a date is its midnight.
    """
    if not names:
        return df
    at = col(timestamp)
    if isinstance(df.schema[timestamp].dataType, t.DateType):
        at = at.cast("timestamp")
    known: dict[str, Column] = {
        "weekend": F.weekday(at) >= SATURDAY,
        "night": F.hour(at) <= LAST_NIGHT_HOUR,
        "hour": F.hour(at),
        "weekday": F.weekday(at),
        "day": F.dayofmonth(at),
    }
    return df.withColumns({name: known[name] for name in names})

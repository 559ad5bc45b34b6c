"""Features of the moment of a row."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from raresmith.spark.tables import col


def with_calendar(df: DataFrame, names: Sequence[str], timestamp: str) -> DataFrame:
    """`df` with the calendar features `names` of column `timestamp`, in UTC.

    weekend: Saturday or Sunday; night: hour at most 6, as the Fraud Detection Handbook has it; hour 0 to 23; weekday
    0 (Monday) to 6; day of the month.
    """
    if not names:
        return df
    moment = col(timestamp)
    features = {
        "weekend": F.weekday(moment) >= 5,
        "night": F.hour(moment) <= 6,
        "hour": F.hour(moment),
        "weekday": F.weekday(moment),
        "day": F.dayofmonth(moment),
    }
    return df.withColumns({name: features[name] for name in names})

"""Values that the configuration names, as values of a column's type."""

import datetime as dt
import math
from decimal import Decimal
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import Value
from raresmith.errors import ConfigError

_BITS = {t.ByteType: 8, t.ShortType: 16, t.IntegerType: 32, t.LongType: 64}


def parsed(value: Value, kind: t.DataType, key: str) -> Any:
    """`value` as what Python has for the Spark type `kind`: text, a boolean, a number, a date or a timestamp.

    Raises
    ------
    ConfigError
        If it is not exactly a value of that type; the message names `key`.
    """
    found, wanted = _as(kind, value)
    if found is None:
        raise ConfigError(f"{key} must be {wanted}, for the column is {kind.simpleString()}; got {value!r}")
    return found


def literal(value: Value, kind: t.DataType) -> Column:
    """The same as a Spark expression."""
    # By its text: PySpark would take a datetime for one of the machine's time zone.
    return F.lit(str(parsed(value, kind, ""))).cast(kind)


def _as(kind: t.DataType, value: Value) -> tuple[Any, str]:
    """The value, or None, and what it should be."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if isinstance(kind, t.StringType):
        return (value if isinstance(value, str) else None), "text"
    if isinstance(kind, t.BooleanType):
        return (value if isinstance(value, bool) else None), "true or false"
    if isinstance(kind, (t.DateType, t.TimestampType, t.TimestampNTZType)):
        return _moment(kind, value)
    if isinstance(kind, t.IntegralType):
        half = 2 ** (_BITS[type(kind)] - 1)
        fits = is_number and isinstance(value, int) and -half <= value < half
        return (value if fits else None), f"a whole number from {-half} to {half - 1}"
    if isinstance(kind, t.DecimalType):
        number = Decimal(str(value)).normalize() if is_number else Decimal(0)
        fits = is_number and -int(number.as_tuple().exponent) <= kind.scale
        fits = fits and abs(number) < 10 ** (kind.precision - kind.scale)
        return (number if fits else None), f"a number of {kind.precision} digits, {kind.scale} of them decimals"
    return (float(value) if is_number else None), "a number"


def _moment(kind: t.DataType, value: Value) -> tuple[Any, str]:
    wanted = "an ISO date" if isinstance(kind, t.DateType) else "an ISO timestamp"
    try:
        found = (dt.date if isinstance(kind, t.DateType) else dt.datetime).fromisoformat(str(value))
    except ValueError:
        return None, wanted
    if isinstance(found, dt.datetime) and found.tzinfo is not None and isinstance(kind, t.TimestampNTZType):
        return None, f"{wanted} without a time zone"
    return found, wanted

"""Columns of text as columns of the types that the texts stand for."""

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.reading.kinds import NULL_WORDS, Kind
from raresmith.reading.marks import Marks

_TYPES: dict[str, t.DataType] = {
    "text": t.StringType(),
    "boolean": t.BooleanType(),
    "whole": t.LongType(),
    "number": t.DoubleType(),
    "date": t.DateType(),
    "timestamp": t.TimestampType(),
}


def type_of(kind: Kind) -> t.DataType:
    """The Spark type of a column of that kind."""
    return t.DecimalType(38, kind.scale) if kind.name == "decimal" else _TYPES[kind.name]


def present(text: Column, null_words: Sequence[str], kind: t.DataType) -> Column:
    """The `text` of a value of that type, null where it stands for none.

    Blanks and the usual words for nothing are no numbers or moments; of text only the words that are told are nothing.
    """
    if isinstance(kind, t.StringType):
        return F.when(~text.isin(*null_words), text) if null_words else text
    trimmed = F.trim(text)
    return F.when(~trimmed.isin("", *(null_words or NULL_WORDS)), trimmed)


def as_type(text: Column, kind: t.DataType, marks: Marks, format: str = "") -> Column:
    """The value of the type `kind` that `text`, as `present` gives it, stands for; null where it is none.

    Parameters
    ----------
    format
        Of dates and timestamps, as Spark writes it; "" is ISO 8601.
    """
    if isinstance(kind, t.StringType):
        return text
    if isinstance(kind, (t.DateType, t.TimestampType, t.TimestampNTZType)):
        return _as_moment(text, kind, format)
    if isinstance(kind, t.NumericType):
        return _as_number(text, kind, marks)
    return text.try_cast(kind)


def _as_number(text: Column, kind: t.DataType, marks: Marks) -> Column:
    plain = text
    if marks.thousands:
        plain = F.replace(plain, F.lit(marks.thousands), F.lit(""))
    if marks.decimal != ".":
        # What has a point has no value where the point means nothing.
        plain = F.when(~F.contains(plain, F.lit(".")), F.replace(plain, F.lit(marks.decimal), F.lit(".")))
    if isinstance(kind, t.FractionalType) and not isinstance(kind, t.DecimalType):
        # Java reads 1d and 1f as numbers; NaN and Infinity are some.
        is_number = ~F.right(plain, F.lit(1)).isin("d", "D", "f", "F") | F.lower(plain).like("%inf")
        plain = F.when(is_number, plain)
    number = plain.try_cast(kind)
    if isinstance(kind, t.DecimalType):
        # A cast would round digits away.
        has_room = F.coalesce(F.length(F.substring_index(plain, ".", -1)) <= kind.scale, F.lit(True))
        number = F.when(~F.contains(plain, F.lit(".")) | has_room, number)
    return number


def _as_moment(text: Column, kind: t.DataType, format: str) -> Column:
    if format:
        return F.try_to_timestamp(text, F.lit(format)).cast(kind)
    # Spark would take a year for its first day, and a time for one of today.
    return F.when(text.like("____-__-__%"), text).try_cast(kind)


def is_code(text: Column) -> Column:
    """Whether a text begins with a zero that no number has."""
    return (F.substring(text, 1, 1) == "0") & F.substring(text, 2, 1).between("0", "9")

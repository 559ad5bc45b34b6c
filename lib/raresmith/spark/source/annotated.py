"""Columns of Parquet files that Spark cannot read as what they are: read as they are stored, and made it here.

All is told by the text of a file's footer, as Parquet writes it down.
"""

import re
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.errors import DataError
from raresmith.spark.columns import col, quoted

_FIELD = re.compile(
    r"^(?P<indent> +)\w+ (?P<stored>\w+(?:\(\d+\))?) (?P<name>.+) "
    r"\((?P<meaning>TIMESTAMP\(NANOS,\w+\)|TIME\(\w+,\w+\)|FLOAT16|UUID|UNKNOWN|DECIMAL\(\d+,\d+\))\)(?: = \d+)?;$",
    re.MULTILINE,
)
_OUTERMOST = "  "
_GROUP = re.compile(r"^ {2}\w+ group (?P<name>.+?)(?: \(\w+\))? \{$", re.MULTILINE)
_STORED = {"int32": t.IntegerType(), "int64": t.LongType()}
_DIGITS = {"MILLIS": 3, "MICROS": 6, "NANOS": 9}
_MOST_DIGITS = 38
"""Of a decimal in Spark."""


@dataclass(frozen=True, kw_only=True)
class Annotated:
    """A field with a meaning of its own."""

    name: str
    column: str
    """The column that it is, or lies in."""
    stored: str
    meaning: str

    @property
    def stored_as(self) -> t.DataType:
        """The type that Spark knows for what is stored."""
        return _STORED.get(self.stored, t.BinaryType())

    @property
    def is_within(self) -> bool:
        """Whether it lies within another type."""
        return not self.name

    @property
    def is_legible(self) -> bool:
        """Whether Spark reads it, though as something else."""
        return self.meaning == "UNKNOWN" or self.meaning.startswith("TIMESTAMP")


def annotated(footer: str) -> list[Annotated]:
    """The fields in `footer` that are more than Spark takes them for."""
    groups = [(match.start(), match["name"]) for match in _GROUP.finditer(footer)]
    found = []
    for match in _FIELD.finditer(footer):
        if match["meaning"].startswith("DECIMAL") and _digits(match["meaning"]) <= _MOST_DIGITS:
            continue
        is_column = match["indent"] == _OUTERMOST
        column = match["name"] if is_column else [name for start, name in groups if start < match.start()][-1]
        name = match["name"] if is_column else ""
        found.append(Annotated(name=name, column=column, stored=match["stored"], meaning=match["meaning"]))
    return found


def check_legible(fields: list[Annotated], path: str) -> None:
    """Refuse what cannot be made anything: DataError naming column, type and remedy."""
    for field in fields:
        if field.meaning.startswith("DECIMAL"):
            raise DataError(
                f"column {field.column!r} of {path} is {field.meaning.lower()}, but Spark has decimals of "
                f"{_MOST_DIGITS} digits; write it with fewer, or as text"
            )
        if field.is_within and not field.is_legible:
            raise DataError(
                f"column {field.column!r} of {path} has {field.meaning} within another type, which Spark cannot read; "
                "write it as text or as a number, or leave the column out"
            )


def with_meanings(df: DataFrame, fields: list[Annotated]) -> tuple[DataFrame, list[str]]:
    """`df`, in which `fields` are as they are stored, with what they mean; and what a person should know of it."""
    values = {field.name: _value(field) for field in fields if not field.is_within}
    words = dict.fromkeys(word for field in fields if (word := _words(field)))
    if not values:
        return df, [*words]
    columns = [F.expr(values[n]).alias(n) if n in values else col(n) for n in df.columns]
    return df.select(*columns), [*words]


def _digits(decimal: str) -> int:
    return int(decimal.partition("(")[2].partition(",")[0])


def _value(field: Annotated) -> str:
    """The column's value as SQL."""
    x, (meaning, _, rest) = quoted(field.name), field.meaning.partition("(")
    if meaning == "TIMESTAMP":
        # Division of whole numbers, for a double has no room for the nanoseconds of today; down, as before 1970 too.
        moment = f"timestamp_micros({x} DIV 1000 - IF({x} % 1000 < 0, 1, 0))"
        return moment if "true" in rest else f"CAST({moment} AS TIMESTAMP_NTZ)"
    if meaning == "TIME":
        digits = _DIGITS[rest.partition(",")[0]]
        seconds = f"date_format(timestamp_seconds({x} DIV {10**digits}), 'HH:mm:ss')"
        fraction = f"rtrim('0', lpad({x} % {10**digits}, {digits}, '0'))"
        return f"rtrim('.', concat({seconds}, '.', {fraction}))"
    if meaning == "FLOAT16":
        return _half(x)
    if meaning == "UUID":
        return f"lower(regexp_replace(hex({x}), '(.{{8}})(.{{4}})(.{{4}})(.{{4}})(.*)', '$1-$2-$3-$4-$5'))"
    return "NULL"


def _half(x: str) -> str:
    """Two bytes, the lower first, as the float that they are by IEEE 754."""
    bits = f"CAST(conv(concat(substr(hex({x}), 3), substr(hex({x}), 1, 2)), 16, 10) AS INT)"
    exponent, fraction = f"({bits} DIV 1024 % 32)", f"({bits} % 1024 / 1024)"
    size = (
        f"CASE {exponent} WHEN 0 THEN {fraction} * pow(2, -14) "
        f"WHEN 31 THEN IF({fraction} = 0, double('Infinity'), double('NaN')) "
        f"ELSE (1 + {fraction}) * pow(2, {exponent} - 15) END"
    )
    return f"CAST(IF({bits} >= 32768, -({size}), {size}) AS FLOAT)"


def _words(field: Annotated) -> str:
    """What a person should know of it, or ""."""
    if field.is_within:
        is_moment = field.meaning.startswith("TIMESTAMP")
        return f"{field.column}: nanoseconds within another type are read as whole numbers" if is_moment else ""
    told = {
        "TIMESTAMP": "nanoseconds are read to the microsecond",
        "TIME": "times of day are read as text",
        "FLOAT16": "16-bit floats are read as 32-bit ones",
        "UUID": "UUIDs are read as text",
    }.get(field.meaning.partition("(")[0])
    return f"{field.column}: {told}" if told else ""

"""A table of texts, and the same table with the types that these stand for.

Spark's own inference takes one odd value in a long column as a reason to make it text, 007 for a number, and 5,20 for
520.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config.sections.source_options import SourceOptions
from raresmith.reading.kinds import MOST_SLIPS, TEXT, Kind
from raresmith.reading.marks import Marks
from raresmith.spark.columns import MALFORMED, col
from raresmith.spark.source.texts import as_type, is_code, present, type_of

_REPLACED = "\ufffd"
"""What a decoder puts in the place of bytes that are none of its encoding."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the columns of a table of texts are."""

    columns: dict[str, tuple[t.DataType, str]]
    """Type, and format of moments."""
    words: tuple[str, ...] = ()
    """What a person should know of it."""
    undecoded: int = 0
    """Rows with bytes that are not of the encoding that they were read by."""


def told_types(wished: t.StructType, options: SourceOptions) -> Found:
    """The columns as `source.schema` has them."""
    formats: dict[type[t.DataType], str] = {t.DateType: options.date_format, t.TimestampType: options.timestamp_format}
    return Found(columns={f.name: (f.dataType, formats.get(type(f.dataType), "")) for f in wished.fields})


def find_types(texts: DataFrame, guesses: Mapping[str, Kind], options: SourceOptions, marks: Marks) -> Found:
    """What each column of `guesses` is, which its first values tell and all of them confirm; in one pass."""
    ways = {name: [*_ways(guess, options)] for name, guess in guesses.items()}
    found = _counted(texts, options, marks, ways)
    taken = {name: _first_that_fits(i, ways[name], guess, found) for i, (name, guess) in enumerate(guesses.items())}
    words = [f"{name} is text: {kind.why}" for name, (kind, _) in taken.items() if kind.why]
    words += [f"{name}: {slips}, so their rows are malformed" for name, (_, slips) in taken.items() if slips]
    return Found(
        columns={name: (type_of(kind), kind.format) for name, (kind, _) in taken.items()},
        words=tuple(words),
        undecoded=found["undecoded"],
    )


def typed(texts: DataFrame, found: Found, options: SourceOptions, marks: Marks) -> DataFrame:
    """`texts` with those types; MALFORMED is not null where it was not, or else names a column whose value is none.

    Columns that are no text, such as objects of JSON, stay as they are.
    """
    columns, slips, columns_of_text = [], [], []
    for field in texts.schema.fields:
        if field.name == MALFORMED:
            continue
        kind, format = found.columns.get(field.name, (t.StringType(), ""))
        if not isinstance(field.dataType, t.StringType):
            columns.append(col(field.name))
            continue
        columns_of_text.append(field.name)
        text = present(col(field.name), options.null_words, kind)
        value = as_type(text, kind, marks, format)
        columns.append(value.alias(field.name))
        if not isinstance(kind, t.StringType):
            slips.append(F.when(text.isNotNull() & value.isNull(), F.lit(field.name)))
    # Spark refuses to read its column of malformed records alone, which it is not where another one is asked.
    asked = F.when(F.length(col(columns_of_text[0])) < 0, F.lit("")) if columns_of_text else F.lit(None)
    malformed = F.coalesce(col(MALFORMED), *(slips or [asked]))
    return texts.select(*columns, malformed.alias(MALFORMED))


def _first_that_fits(nth: int, kinds: list[Kind], guess: Kind, found: dict[str, Any]) -> tuple[Kind, str]:
    """Of the ways to read a column the first one by which hardly a value is none, and what is to be said of these."""
    why = guess.why
    for way, kind in enumerate(kinds):
        if kind.name == "text":
            return replace(kind, why=why), ""
        slips = found[f"{nth} {way} slips"]
        told = f"{slips:,} values such as {found[f'{nth} {way} slip']!r} are no {_called(kind)}"
        if found[f"{nth} codes"] and kind.name in ("whole", "number", "decimal"):
            why = "leading zeros"
        elif slips <= found[f"{nth} present"] // MOST_SLIPS:
            return kind, told if slips else ""
        elif kind == guess:
            why = told
    raise AssertionError("text fits always")


def _ways(kind: Kind, options: SourceOptions) -> Iterator[Kind]:
    """What a column may be, the first that fits being taken; text fits always."""
    if kind.name in ("text", "date", "timestamp"):
        if options.timestamp_format:
            yield Kind(name="timestamp", format=options.timestamp_format)
        if options.date_format:
            yield Kind(name="date", format=options.date_format)
    yield kind
    if kind.name != "text":
        yield TEXT


def _counted(texts: DataFrame, options: SourceOptions, marks: Marks, ways: dict[str, list[Kind]]) -> dict[str, Any]:
    """Of each column how many values there are, and of each way to read it how many are none; in one pass."""
    counts: dict[str, Column] = {}
    for i, (name, kinds) in enumerate(ways.items()):
        for j, kind in enumerate(kinds):
            if kind.name == "text":
                continue
            text = present(col(name), options.null_words, type_of(kind))
            is_slip = text.isNotNull() & as_type(text, type_of(kind), marks, kind.format).isNull()
            counts[f"{i} present"] = F.count(text)
            counts[f"{i} codes"] = F.count_if(is_code(text))
            counts[f"{i} {j} slips"] = F.count_if(is_slip)
            counts[f"{i} {j} slip"] = F.min(F.when(is_slip, text))
    # Who told the encoding knows best.
    unread = [col(name) for name in ways] if not options.encoding else []
    counts["undecoded"] = F.count_if(F.contains(F.concat_ws("", *unread), F.lit(_REPLACED)))
    row = texts.agg(*[count.alias(name) for name, count in counts.items()]).first()
    assert row is not None
    return dict(row.asDict())


def _called(kind: Kind) -> str:
    return {"whole": "whole number", "decimal": "number", "boolean": "true or false"}.get(kind.name, kind.name)

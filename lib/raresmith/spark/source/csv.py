"""Read files of separated values, of which nothing may be lost without a word.

All values are read as text, by the header of each file and never by place, and made what they stand for here: Spark's
own inference takes one odd value in a long column as a reason to make it text, 007 for a number, and 5,20 for 520.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import SourceConfig
from raresmith.errors import DataError
from raresmith.reading.kinds import MOST_SLIPS, NULL_WORDS, TEXT, Kind, kind_of
from raresmith.reading.marks import Marks, marks_of
from raresmith.spark.columns import MALFORMED, col
from raresmith.spark.files import is_glob
from raresmith.spark.source.separated import Separated, differing, look
from raresmith.spark.source.texts import as_type, is_code, present, type_of

_REPLACED = "\ufffd"
"""What a decoder puts in the place of bytes that are none of its encoding."""


@dataclass(frozen=True, kw_only=True)
class CsvLayout:
    """All that it takes to read a table, so that it is found out once."""

    files: Separated
    marks: Marks
    has_line_breaks: bool
    columns: dict[str, tuple[t.DataType, str]]
    """Type, and format of moments, of the columns in the files."""
    words: tuple[str, ...]
    """What a person should know of it."""


def find_layout(spark: SparkSession, config: SourceConfig, wished: t.StructType | None) -> CsvLayout:
    """Find out how the table at `config.path` is written; the types of its columns in one pass, where none are wished.

    Raises
    ------
    DataError
        If a header lacks a name or has one twice, or bytes are not of the encoding.
    """
    files, options = look(spark, config), config.options
    nothing = {"", *(options.null_words or NULL_WORDS)}
    samples = {name: [v for v in values if v.strip() not in nothing] for name, values in files.sample.items()}
    layout = CsvLayout(
        files=files,
        marks=marks_of(samples.values(), decimal=options.decimal, thousands=options.thousands),
        has_line_breaks=_has_line_breaks(spark, config, files),
        columns={},
        words=(),
    )
    words = [*_written(layout, config), *differing(files.files)]
    if wished is not None:
        formats: dict[type[t.DataType], str] = {
            t.DateType: options.date_format,
            t.TimestampType: options.timestamp_format,
        }
        told = {f.name: (f.dataType, formats.get(type(f.dataType), "")) for f in wished.fields}
        return replace(layout, columns=told, words=tuple(words))
    kinds, more = _kinds(spark, config, layout, samples)
    columns = {name: (type_of(kind), kind.format) for name, kind in kinds.items()}
    return replace(layout, columns=columns, words=(*words, *more))


def read_csv(spark: SparkSession, config: SourceConfig, layout: CsvLayout) -> DataFrame:
    """The table of that layout; MALFORMED is not null where a record or a value could not be read."""
    texts = _texts(spark, config, layout)
    words, columns, slips = config.options.null_words, [], []
    for name in texts.columns:
        if name == MALFORMED:
            continue
        kind, format = layout.columns.get(name, (t.StringType(), ""))
        text = present(col(name), words, kind)
        value = as_type(text, kind, layout.marks, format)
        columns.append(value.alias(name))
        if not isinstance(kind, t.StringType):
            slips.append(F.when(text.isNotNull() & value.isNull(), F.lit(name)))
    malformed = F.coalesce(col(MALFORMED), *slips) if slips else col(MALFORMED)
    return texts.select(*columns, malformed.alias(MALFORMED))


def _texts(spark: SparkSession, config: SourceConfig, layout: CsvLayout) -> DataFrame:
    """All values as they are written, columns of partitions included; MALFORMED holds records of another width."""
    options, files = config.options, layout.files.files
    parts = []
    for (encoding, header), paths in files.items():
        schema = t.StructType([t.StructField(name, t.StringType()) for name in (*header, MALFORMED)])
        reader = (
            spark.read.schema(schema)
            .options(sep=layout.files.dialect.separator, quote=options.quote, escape=layout.files.dialect.escape)
            .options(header=options.header, encoding=encoding, multiLine=layout.has_line_breaks)
            .options(mode="PERMISSIVE", columnNameOfCorruptRecord=MALFORMED)
        )
        if len(files) == 1:
            parts.append(reader.csv(config.path))
        else:
            # The folder itself, so that its partitions are columns still.
            parts.append((reader if is_glob(config.path) else reader.option("basePath", config.path)).csv(paths))
    return reduce(lambda rows, more: rows.unionByName(more, allowMissingColumns=True), parts)


def _has_line_breaks(spark: SparkSession, config: SourceConfig, files: Separated) -> bool:
    """Whether records go over several lines, which Spark reads file by file instead of in parts."""
    if config.options.line_breaks is not None:
        return config.options.line_breaks
    if files.has_line_breaks or any(encoding.startswith("UTF-16") for encoding in files.encodings):
        return True
    if files.is_whole:
        return False
    quote, line = F.lit(config.options.quote), col("value")
    if files.dialect.escape != config.options.quote:
        line = F.replace(line, F.lit(files.dialect.escape + config.options.quote), F.lit(""))
    is_open = (F.length(line) - F.length(F.replace(line, quote, F.lit("")))) % 2 == 1
    return not spark.read.text(config.path).where(is_open).isEmpty()


def _kinds(
    spark: SparkSession, config: SourceConfig, layout: CsvLayout, samples: dict[str, list[str]]
) -> tuple[dict[str, Kind], list[str]]:
    """What each column is, which the first values tell and all of them confirm; and what to say of it."""
    guesses = {name: kind_of(sample, layout.marks) for name, sample in samples.items()}
    ways = {name: [*_ways(guess, config)] for name, guess in guesses.items()}
    found = _counted(_texts(spark, config, layout), config, layout.marks, ways)
    if found["replaced"]:
        raise DataError(
            f"{found['replaced']:,} rows of {config.path} have bytes that are no UTF-8, though its first ones are; set "
            "source.options.encoding, for example to windows-1252"
        )
    taken = {name: _first_that_fits(i, ways[name], guess, found) for i, (name, guess) in enumerate(guesses.items())}
    words = [f"{name} is text: {kind.why}" for name, (kind, _) in taken.items() if kind.why]
    words += [f"{name}: {slips}, so their rows are malformed" for name, (_, slips) in taken.items() if slips]
    return {name: kind for name, (kind, _) in taken.items()}, words


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


def _ways(kind: Kind, config: SourceConfig) -> Iterator[Kind]:
    """What a column may be, the first that fits being taken; text fits always."""
    if kind.name in ("text", "date", "timestamp"):
        if config.options.timestamp_format:
            yield Kind(name="timestamp", format=config.options.timestamp_format)
        if config.options.date_format:
            yield Kind(name="date", format=config.options.date_format)
    yield kind
    if kind.name != "text":
        yield TEXT


def _counted(texts: DataFrame, config: SourceConfig, marks: Marks, ways: dict[str, list[Kind]]) -> dict[str, Any]:
    """Of each column how many values there are, and of each way to read it how many are none; in one pass."""
    counts: dict[str, Column] = {}
    for i, (name, kinds) in enumerate(ways.items()):
        for j, kind in enumerate(kinds):
            if kind.name == "text":
                continue
            text = present(col(name), config.options.null_words, type_of(kind))
            is_slip = text.isNotNull() & as_type(text, type_of(kind), marks, kind.format).isNull()
            counts[f"{i} present"] = F.count(text)
            counts[f"{i} codes"] = F.count_if(is_code(text))
            counts[f"{i} {j} slips"] = F.count_if(is_slip)
            counts[f"{i} {j} slip"] = F.min(F.when(is_slip, text))
    # Who told the encoding knows best.
    unread = [col(name) for name in ways] if not config.options.encoding else []
    counts["replaced"] = F.count_if(F.contains(F.concat_ws("", *unread), F.lit(_REPLACED)))
    row = texts.agg(*[count.alias(name) for name, count in counts.items()]).first()
    assert row is not None
    return dict(row.asDict())


def _called(kind: Kind) -> str:
    return {"whole": "whole number", "decimal": "number", "boolean": "true or false"}.get(kind.name, kind.name)


def _written(layout: CsvLayout, config: SourceConfig) -> Iterator[str]:
    """How the files are written, where it is not the usual way."""
    told = []
    if layout.files.dialect.separator != ",":
        told.append(str(layout.files.dialect))
    if layout.marks != Marks():
        told.append(str(layout.marks))
    if layout.files.encodings != ["UTF-8"]:
        told.append(" and ".join(layout.files.encodings))
    if layout.has_line_breaks:
        told.append("line breaks within values")
    if layout.files.dialect.escape != config.options.quote:
        told.append("quotes after a backslash")
    if told:
        yield f"read as: {', '.join(told)}"

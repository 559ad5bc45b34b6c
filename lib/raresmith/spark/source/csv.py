"""Read files of separated values, of which nothing may be lost without a word.

All values are read as text, by the header of each file and never by place, and made what they stand for afterwards.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import SourceConfig
from raresmith.errors import DataError
from raresmith.reading.kinds import NULL_WORDS, kind_of
from raresmith.reading.marks import Marks, marks_of
from raresmith.spark.columns import MALFORMED, col
from raresmith.spark.files import is_glob
from raresmith.spark.source.separated import Separated, differing, look
from raresmith.spark.source.typed import Found, find_types, told_types, typed


@dataclass(frozen=True, kw_only=True)
class CsvLayout:
    """All that it takes to read a table, so that it is found out once."""

    files: Separated
    marks: Marks
    has_line_breaks: bool
    found: Found
    """What the columns in the files are."""
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
        found=Found(columns={}),
        words=(),
    )
    if layout.has_line_breaks:
        _check_ends(
            spark, [path for how, paths in files.files.items() if how.ends_in_crlf for path in paths], options.quote
        )
    words = [*_written(layout, config), *differing(files.files)]
    if wished is not None:
        return replace(layout, found=told_types(wished, options), words=tuple(words))
    guesses = {name: kind_of(sample, layout.marks) for name, sample in samples.items()}
    found = find_types(_texts(spark, config, layout), guesses, options, layout.marks)
    if found.undecoded:
        raise DataError(
            f"{found.undecoded:,} rows of {config.path} have bytes that are no UTF-8, though its first ones are; set "
            "source.options.encoding, for example to windows-1252"
        )
    return replace(layout, found=found, words=(*words, *found.words))


def read_csv(spark: SparkSession, config: SourceConfig, layout: CsvLayout) -> DataFrame:
    """The table of that layout; MALFORMED is not null where a record or a value could not be read."""
    return typed(_texts(spark, config, layout), layout.found, config.options, layout.marks)


def _texts(spark: SparkSession, config: SourceConfig, layout: CsvLayout) -> DataFrame:
    """All values as they are written, columns of partitions included; MALFORMED holds records of another width."""
    options, files = config.options, layout.files.files
    parts = []
    for how, paths in files.items():
        schema = t.StructType([t.StructField(name, t.StringType()) for name in (*how.header, MALFORMED)])
        reader = (
            spark.read.schema(schema)
            .options(sep=layout.files.dialect.separator, quote=options.quote, escape=layout.files.dialect.escape)
            .options(header=options.header, encoding=how.encoding, multiLine=layout.has_line_breaks)
            .options(mode="PERMISSIVE", columnNameOfCorruptRecord=MALFORMED)
            # Spark would count the values of a record only where all columns are asked for.
            .options(columnPruning=False)
        )
        keeps_breaks = layout.has_line_breaks and how.ends_in_crlf
        if keeps_breaks:
            # Where Spark knows of CR LF, it reads these as LF within values too.
            reader = reader.option("lineSep", "\n")
        if len(files) == 1:
            rows = reader.csv(config.path)
        else:
            # The folder itself, so that its partitions are columns still.
            rows = (reader if is_glob(config.path) else reader.option("basePath", config.path)).csv(paths)
        parts.append(_without_cr(rows, how.header) if keeps_breaks else rows)
    return reduce(lambda rows, more: rows.unionByName(more, allowMissingColumns=True), parts)


def _without_cr(rows: DataFrame, header: tuple[str, ...]) -> DataFrame:
    """Records that were read up to LF and end in CR LF, without blank lines and the CR, which quotes keep off."""
    first, last = col(header[0]), col(header[-1])
    is_blank = (first == "\r") & (col(MALFORMED).isNotNull() | F.lit(len(header) == 1))
    cut = F.regexp_replace(last, "\r$", "")
    return rows.where(~F.coalesce(is_blank, F.lit(False))).withColumn(header[-1], F.when(cut != "", cut))


def _check_ends(spark: SparkSession, paths: list[str], quote: str) -> None:
    """DataError where the last value of a record ends in a CR of its own, which would go with the one after it."""
    if not paths:
        return
    lines = spark.read.option("lineSep", "\n").text(paths).select("value", "_metadata.file_path")
    for line in lines.where(F.endswith("value", F.lit(f"\r{quote}\r"))).take(1):
        raise DataError(
            f"the last value of a record of {line['file_path']} ends in a carriage return, which cannot be told from "
            "the CR LF that its records end in; write the file with LF at the end of its records"
        )


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

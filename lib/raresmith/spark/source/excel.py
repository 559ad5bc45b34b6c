"""Read a sheet of an Excel workbook, a small table that fits in this process."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as t

from raresmith.config import SourceConfig
from raresmith.errors import DataError
from raresmith.reading.kinds import NULL_WORDS, Kind, kind_of
from raresmith.reading.marks import Marks
from raresmith.reading.workbook import Sheet, read_sheet
from raresmith.spark.columns import MALFORMED
from raresmith.spark.files import beginning_of, data_files
from raresmith.spark.source.typed import Found, find_types, told_types, typed

MOST_MB = 100
"""Size of a workbook up to which it is read; unpacked it is ten times as large."""


@dataclass(frozen=True, kw_only=True)
class ExcelLayout:
    """The table as texts, and all that it takes to read it, so that it is found out once."""

    texts: pa.Table = field(repr=False)
    found: Found
    """What its columns are."""
    words: tuple[str, ...]
    """What a person should know of it."""


def find_layout(spark: SparkSession, config: SourceConfig, wished: t.StructType | None) -> ExcelLayout:
    """Read the workbook at `config.path`, and find out what its columns are where no types are wished.

    Raises
    ------
    ConfigError
        If openpyxl is not installed, or there is no such sheet.
    DataError
        If it is no single workbook, too large, or has no table with a header.
    """
    files = data_files(spark, config.path)
    if len(files) != 1:
        raise DataError(f"source.path must name one .xlsx file, but {config.path} has {len(files)} files")
    if files[0].size > MOST_MB * 10**6:
        raise DataError(
            f"{config.path} is larger than {MOST_MB} MB, up to which a workbook is read; save it as CSV or Parquet"
        )
    workbook = beginning_of(spark, files[0].path, files[0].size)
    sheet = read_sheet(workbook, config.options.sheet, config.path, MALFORMED)
    columns = {**sheet.columns, MALFORMED: sheet.malformed}
    layout = ExcelLayout(
        texts=pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}),
        found=Found(columns={}),
        words=tuple(_words(sheet)),
    )
    if wished is not None:
        return replace(layout, found=told_types(wished, config.options))
    nothing = {"", *(config.options.null_words or NULL_WORDS)}
    guesses = {name: _guess(name, sheet, nothing) for name in sheet.columns}
    found = find_types(spark.createDataFrame(layout.texts), guesses, config.options, Marks())
    return replace(layout, found=found, words=(*layout.words, *found.words))


def read_excel(spark: SparkSession, config: SourceConfig, layout: ExcelLayout) -> DataFrame:
    """The table of that layout; MALFORMED is not null where a cell has an error or could not be read."""
    return typed(spark.createDataFrame(layout.texts), layout.found, config.options, Marks())


def _guess(name: str, sheet: Sheet, nothing: set[str]) -> Kind:
    texts = [text for text in sheet.columns[name] if text is not None and text.strip() not in nothing]
    guess = kind_of(texts, Marks(), written_as_text=name in sheet.as_text)
    if guess.name == "text" and not guess.why and name in sheet.mixed:
        return replace(guess, why="text and other values stand in it")
    return guess


def _words(sheet: Sheet) -> Iterator[str]:
    if sheet.others:
        yield f"read as: sheet {sheet.title!r}; the others, {', '.join(map(repr, sheet.others))}, are not read"
    if sheet.merged:
        yield f"merged cells such as {sheet.merged}: the first of them has the value, the others none"
    for name, errors in sheet.errors.items():
        yield f"{name}: {len(errors):,} cells have errors such as {errors[0]!r}, so their rows are malformed"

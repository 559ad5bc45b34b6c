"""Read files of one JSON object a line, of which nothing may be lost without a word.

Spark gives the value of a text column as it is written, digits and nested objects and all, where it reads the files
itself. But it passes over keys that it was not told of, and over what a line holds after its first object: so all lines
are looked at before.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from raresmith.config import SourceConfig
from raresmith.errors import DataError
from raresmith.reading.json_lines import ONE_A_LINE, Samples, check_begins_with_object, objects
from raresmith.reading.kinds import NULL_WORDS, Kind, kind_of
from raresmith.reading.marks import Marks
from raresmith.reading.names import check_names
from raresmith.reading.text import decoded, encoding_of
from raresmith.spark.columns import MALFORMED, col
from raresmith.spark.files import beginning_of, data_files
from raresmith.spark.source.separated import SAMPLE_BYTES, SAMPLED
from raresmith.spark.source.typed import Found, find_types, told_types, typed

MOST_KEYS = 10_000
"""Of all lines; where there are more, values were taken for keys."""
_BEGIN_BYTES = 2**10
"""Of a file of which only the beginning is asked."""
_LEFT = 60
"""Characters of a line that a person is shown."""


@dataclass(frozen=True, kw_only=True)
class JsonLayout:
    """All that it takes to read a table, so that it is found out once."""

    keys: tuple[str, ...]
    """Of all lines, and those that are wished for."""
    nested: frozenset[str]
    """Keys whose values are objects or arrays."""
    found: Found
    """What the other ones are."""
    words: tuple[str, ...]
    """What a person should know of it."""


def find_layout(spark: SparkSession, config: SourceConfig, wished: t.StructType | None) -> JsonLayout:
    """Find out which keys the lines at `config.path` have; the types of their values in one pass more, where none are
    wished.

    Raises
    ------
    DataError
        If there is no object, or a file does not hold one a line; if keys repeat or differ only in case.
    """
    samples, keys = _sampled(spark, config.path), _keys(spark, config.path)
    _sample_rare(spark, config.path, [key for key in keys if not samples.has(key)], samples)
    types = {f.name: f.dataType for f in wished.fields} if wished is not None else {}
    there = {key.lower() for key in keys}
    absent = [name for name in types if name.lower() not in there]
    nested = frozenset(key for key in samples.only_nested if not isinstance(types.get(key), t.StringType))
    layout = JsonLayout(
        keys=(*keys, *absent), nested=nested, found=Found(columns={}), words=tuple(_words(nested, absent))
    )
    if wished is not None:
        return replace(layout, found=told_types(wished, config.options))
    guesses = {key: _guess(key, samples, config.options.null_words) for key in keys if key not in nested}
    found = find_types(_texts(spark, config.path, layout), guesses, config.options, Marks())
    return replace(layout, found=found, words=(*layout.words, *found.words))


def _words(nested: Iterable[str], absent: Iterable[str]) -> Iterator[str]:
    for name in sorted(nested):
        yield f"{name} holds objects or arrays: carried along as the text of its field json"
    for name in absent:
        yield f"{name} is in no line: null"


def read_json(spark: SparkSession, config: SourceConfig, layout: JsonLayout) -> DataFrame:
    """The table of that layout; MALFORMED is not null where a line or a value could not be read."""
    return typed(_texts(spark, config.path, layout), layout.found, config.options, Marks())


def _texts(spark: SparkSession, path: str, layout: JsonLayout) -> DataFrame:
    """All values as they are written, columns of partitions included; MALFORMED holds lines that are no object."""
    schema = t.StructType([t.StructField(name, t.StringType()) for name in (*layout.keys, MALFORMED)])
    texts = spark.read.schema(schema).option("columnNameOfCorruptRecord", MALFORMED).json(path)

    def value(name: str) -> Column:
        # A struct can be no feature, and text would be taken for a category.
        return F.when(col(name).isNotNull(), F.struct(col(name).alias("json"))).alias(name)

    return texts.select(*[value(name) if name in layout.nested else col(name) for name in texts.columns])


def _sampled(spark: SparkSession, path: str) -> Samples:
    """The first values of some files; all are made sure to begin with an object."""
    paths = [file.path for file in data_files(spark, path)]
    if not paths:
        raise DataError(f"{path} has no rows")
    sizes = [SAMPLE_BYTES] * SAMPLED + [_BEGIN_BYTES] * max(0, len(paths) - SAMPLED)
    with ThreadPoolExecutor() as pool:
        beginnings = [*pool.map(partial(beginning_of, spark), paths, sizes[: len(paths)])]
    samples = Samples()
    for place, beginning in zip(paths, beginnings, strict=True):
        try:
            if (encoding := encoding_of(beginning)) != "UTF-8":
                raise DataError(f"is in {encoding}, but JSON is read as UTF-8; save it so")
            text = decoded(beginning, encoding)
            check_begins_with_object(text)
        except DataError as error:
            raise DataError(f"{place} {error}") from None
        samples.add(objects(text))
    return samples


def _lines(spark: SparkSession, path: str) -> DataFrame:
    """The lines that are not blank, less the mark at the beginning of a file; as text."""
    return spark.read.text(path).withColumn("value", F.trim("value", F.lit(" \t\r\ufeff"))).where(col("value") != "")


def _keys(spark: SparkSession, path: str) -> list[str]:
    """The keys of all lines; DataError where there are none or they cannot be told apart, or a line has two objects."""
    lines = _lines(spark, path)
    keys = F.json_object_keys("value")
    array = F.from_json(F.concat(F.lit("["), "value", F.lit("]")), "array<struct<k: string>>")
    is_single = F.coalesce(F.size(array) == 1, F.lit(False))
    holds_more = (keys.isNotNull() & ~is_single) | F.startswith(col("value"), F.lit("["))
    repeats = F.coalesce(F.size(F.array_distinct(keys)) < F.size(keys), F.lit(False))
    looked_at = lines.select("value", holds_more.alias("more"), repeats.alias("repeats"), keys.alias("keys"))
    found = (
        looked_at.select(F.explode_outer("keys").alias("key"), "more", "repeats").distinct().limit(MOST_KEYS).collect()
    )
    for fault, told in {"more": f"hold more than one object, but {ONE_A_LINE}", "repeats": "have a key twice"}.items():
        if any(row[fault] for row in found):
            line = looked_at.where(fault).agg(F.min("value").alias("value")).first()
            assert line is not None  # an aggregate without groups has one row
            raise DataError(f"lines of {path} such as {line['value'][:_LEFT]!r} {told}")
    names = sorted({row["key"] for row in found} - {None})
    if not names:
        raise DataError(f"no line of {path} is an object of JSON; {ONE_A_LINE}")
    if len(found) == MOST_KEYS:
        raise DataError(f"the lines of {path} have {MOST_KEYS:,} keys or more; write values as values")
    check_names(names, f"the JSON of {path}", MALFORMED)
    folders = {name.lower() for name in lines.columns[1:]}
    if both := [name for name in names if name.lower() in folders]:
        raise DataError(f"{path} has {both[0]!r} as a key and as a folder's name; take one of them away")
    return names


def _sample_rare(spark: SparkSession, path: str, keys: Sequence[str], samples: Samples) -> None:
    """Add a value or two of `keys`, which the first lines have none of."""
    if not keys:
        return
    found = F.from_json("value", t.StructType([t.StructField(key, t.StringType()) for key in keys]))
    lines = _lines(spark, path).select("value", found.alias("found"))
    with_value = [F.when(col("found")[key].isNotNull(), col("value")) for key in keys]
    row = lines.agg(*(of(line) for line in with_value for of in (F.min, F.max))).first()
    rare = {*keys}
    for line in sorted({*(row or ())} - {None}):
        samples.add({key: value for key, value in found.items() if key in rare} for found in objects(line))


def _guess(key: str, samples: Samples, null_words: Sequence[str]) -> Kind:
    nothing = {"", *(null_words or NULL_WORDS)}
    texts = [text for text in samples.texts.get(key, ()) if text.strip() not in nothing]
    guess = kind_of(texts, Marks(), written_as_text=key not in samples.bare)
    if key in samples.nested:
        return Kind(name="text", why="objects or arrays and other values stand in it")
    return guess

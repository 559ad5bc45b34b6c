"""How the files of a table of separated values are written, told by their first bytes."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from pyspark.sql import SparkSession

from raresmith.config import SourceConfig
from raresmith.errors import DataError
from raresmith.reading.dialect import RECORDS, Dialect, dialect_of, ends_in_crlf, has_line_breaks
from raresmith.reading.names import check_names
from raresmith.reading.text import decoded, encoding_of
from raresmith.spark.columns import MALFORMED
from raresmith.spark.files import beginning_of, data_files

SAMPLED = 4
"""Files whose values are looked at; of the others the header alone, unless it names a column that no other has."""
SAMPLE_BYTES = 2**20
HEADER_BYTES = 2**16


class Written(NamedTuple):
    """How a file is written, where files of one table may differ."""

    encoding: str
    header: tuple[str, ...]
    ends_in_crlf: bool
    """Whether its records do."""


@dataclass(frozen=True, kw_only=True)
class Separated:
    """The files of a table, and how they are written."""

    dialect: Dialect
    files: dict[Written, list[str]]
    """Paths of the files that are written alike."""
    has_line_breaks: bool
    """Whether a value that was looked at has one."""
    is_whole: bool
    """Whether all that the files hold was looked at."""
    sample: dict[str, list[str]] = field(repr=False)
    """Some values of each column, as they are written."""

    @property
    def encodings(self) -> list[str]:
        """Those of the files, that of most first."""
        counts = Counter(how.encoding for how, paths in self.files.items() for _ in paths)
        return [name for name, _ in counts.most_common()]


def look(spark: SparkSession, config: SourceConfig) -> Separated:
    """Look at the beginnings of all files of `config.path`.

    Raises
    ------
    DataError
        Naming the file, if there is none, or its header lacks a name or has one twice.
    """
    paths = [file.path for file in data_files(spark, config.path)]
    if not paths:
        raise DataError(f"{config.path} has no rows")
    with ThreadPoolExecutor() as pool:
        sizes = [SAMPLE_BYTES] * SAMPLED + [HEADER_BYTES] * max(0, len(paths) - SAMPLED)
        beginnings = [*pool.map(partial(beginning_of, spark), paths, sizes[: len(paths)])]
    options = config.options
    encodings = [options.encoding or _encoding(path, sample) for path, sample in zip(paths, beginnings, strict=True)]
    texts = [decoded(sample, encoding) for sample, encoding in zip(beginnings, encodings, strict=True)]
    dialect = dialect_of(texts[0], separator=options.separator, quote=options.quote, escape=options.escape)
    files: dict[Written, list[str]] = {}
    sample: dict[str, list[str]] = {}
    for nth, (path, encoding, text) in enumerate(zip(paths, encodings, texts, strict=True)):
        records = dialect.records(text)
        header = _header(path, next(records, []), named=options.header)
        files.setdefault(Written(encoding, header, ends_in_crlf(dialect, text)), []).append(path)
        if nth < SAMPLED or not sample.keys() >= {*header}:
            # The last one may be cut.
            rows = [*itertools.islice(records, RECORDS)]
            for name, values in zip(header, itertools.zip_longest(*rows[:-1] or rows, fillvalue=""), strict=False):
                sample.setdefault(name, []).extend(values)
    _check_akin(config.path, files)
    return Separated(
        dialect=dialect,
        files=files,
        has_line_breaks=any(has_line_breaks(dialect, text) for text in texts),
        is_whole=all(len(beginning) < size for beginning, size in zip(beginnings, sizes, strict=False)),
        sample=sample,
    )


def _encoding(path: str, sample: bytes) -> str:
    try:
        return encoding_of(sample)
    except DataError as error:
        raise DataError(f"{path} {error}") from None


def _header(path: str, record: Sequence[str], *, named: bool) -> tuple[str, ...]:
    """The names of a file's columns, which are `_c0` and so on where it has none."""
    if not named:
        return tuple(f"_c{i}" for i in range(len(record)))
    check_names(record, f"the header of {path}", MALFORMED)
    return tuple(record)


def _check_akin(path: str, files: dict[Written, list[str]]) -> None:
    """Refuse files that have no column in common, as a README.md and the table beside it have none."""
    most, alike = max(files.items(), key=lambda found: len(found[1]))
    for how, paths in files.items():
        if not {*how.header} & {*most.header}:
            raise DataError(
                f"{paths[0]} has no column in common with {alike[0]}; move what is no part of the table elsewhere, or "
                f"let source.path name the others alone, as by {path.rstrip('/')}/*.csv"
            )


def differing(files: dict[Written, list[str]]) -> Iterator[str]:
    """What to say of columns that some of the files lack."""
    total = sum(map(len, files.values()))
    for name in dict.fromkeys(name for how in files for name in how.header):
        lacking = [path for how, paths in files.items() for path in paths if name not in how.header]
        if lacking:
            example = lacking[0].rpartition("/")[2]
            yield f"{name} is not in {len(lacking):,} of {total:,} files, such as {example}: null there"

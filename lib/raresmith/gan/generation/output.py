"""Made rows as a file or a table of the user's own."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from raresmith.config.sections.run import unfit_for_tables
from raresmith.errors import ConfigError, DataError
from raresmith.gan.data import tables
from raresmith.gan.folder import Folder, in_a_line, open_folder
from raresmith.tables.contracts import MAPPED

_FILES = (".csv", ".parquet")
_FORMULA = r"^([=+\-@\t\r])"
"""How text begins that a spreadsheet takes for a formula."""


def check_output(output: str, schema: pa.Schema, *, escape_formulas: bool = False) -> None:
    """Refuse a place or a format that rows of `schema` cannot be written to, before any is made.

    Raises
    ------
    ConfigError
        If it is none.
    DataError
        If it cannot be written, or is a folder that holds something else than a Delta table.
    """
    suffix = PurePosixPath(output).suffix
    if not output or suffix not in ("", *_FILES) or (suffix and output.endswith("/")):
        raise ConfigError(f"--output must end in .csv or .parquet, or name a folder for a Delta table, got {output!r}")
    if escape_formulas and suffix != ".csv":
        raise ConfigError(f"--escape-formulas goes with a .csv file, but --output is {output!r}; leave it out")
    if not suffix and (unfit := [name for name in _names_within(schema) if MAPPED & set(name)]):
        raise DataError(f"a Delta table cannot have the columns {unfit}; let --output end in .parquet or .csv")
    check_place = _check_file if suffix else _check_table
    try:
        check_place(output)
    except (OSError, ValueError) as error:
        raise DataError(f"--output {output!r} cannot be written ({in_a_line(error)}); name another place") from None


def _check_file(output: str) -> None:
    if "://" in output:
        open_folder(output)
    elif Path(output).is_dir():
        raise DataError(f"--output {output!r} is a folder where a file is to be; name a file that is none")
    else:
        _try_to_write(Path(output).resolve().parent)


def _check_table(output: str) -> None:
    if unfit := unfit_for_tables(output if "://" in output else str(Path(output).resolve())):
        raise DataError(
            f"--output {output!r} has {unfit!r} in its path, in which no Delta table can be made; name another "
            "folder, or let it end in .parquet or .csv"
        )
    path = Path(output)
    if "://" in output:
        is_fit = not open_folder(output).names() or tables.is_table(output)
    else:
        is_fit = not path.exists() or (path.is_dir() and (not any(path.iterdir()) or tables.is_table(output)))
    if not is_fit:
        raise DataError(
            f"--output {output!r} is, or holds, something else than a Delta table; name a folder that is empty, not "
            "there yet, or such a table"
        )
    if "://" not in output:
        _try_to_write(path)


def _try_to_write(folder: Path) -> None:
    """OSError where no file can be made in the folder, or in the one that it is to be made in."""
    while not folder.exists():
        folder = folder.parent
    with TemporaryFile(dir=folder):
        pass


def _names_within(fields: Iterable[pa.Field]) -> Iterator[str]:
    """The names of columns and of the fields in them, however deep."""
    for field in fields:
        yield field.name
        yield from _names_within(field.type.field(i) for i in range(field.type.num_fields))


def write_output(
    output: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, escape_formulas: bool = False
) -> None:
    """Write all rows to `output`, in place of what is there; it is there whole or not at all.

    Parameters
    ----------
    escape_formulas
        Whether text in a .csv file that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    before, slash, name = output.rpartition("/")
    suffix = PurePosixPath(output).suffix
    if suffix == ".csv":
        _write_csv(open_folder(before or slash or "."), name, schema, batches, escape_formulas)
    elif suffix == ".parquet":
        write_part(open_folder(before or slash or "."), name, schema, batches)
    else:
        tables.overwrite(output, pa.RecordBatchReader.from_batches(schema, batches))


def _write_csv(
    folder: Folder, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch], escape_formulas: bool
) -> None:
    # Lists and the like have no place in a CSV file; as they can be no features, they are null in all rows.
    flat = pa.schema([pa.field(f.name, pa.string() if pa.types.is_nested(f.type) else f.type) for f in schema])
    if escape_formulas:
        flat = pa.schema([pa.field(re.sub(_FORMULA, r"'\1", f.name), f.type) for f in flat])
    is_text = [escape_formulas and f.type == pa.string() for f in flat]
    with folder.stream(name) as stream, pyarrow.csv.CSVWriter(stream, flat) as writer:
        for batch in batches:
            columns = [
                pa.nulls(len(batch), f.type) if c.type != f.type else c for c, f in zip(batch, flat, strict=True)
            ]
            for place in np.flatnonzero(is_text):
                columns[place] = pc.replace_substring_regex(columns[place], _FORMULA, r"'\1")
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=flat))


def write_part(folder: Folder, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write rows as one Parquet file, a row group each batch or more."""
    with folder.stream(name) as stream, pq.ParquetWriter(stream, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def read_parts(folder: Folder, names: list[str]) -> Iterator[pa.RecordBatch]:
    """The rows of Parquet files, one file after the other."""
    for name in names:
        yield from pq.ParquetFile(pa.BufferReader(folder.read(name))).iter_batches()

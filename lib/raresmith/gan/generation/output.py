"""Made rows as a file or a table of the user's own."""

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from raresmith.errors import ConfigError, DataError
from raresmith.gan.data import tables
from raresmith.gan.folder import Folder, open_folder
from raresmith.tables.contracts import MAPPED


def check_output(output: str, schema: pa.Schema) -> None:
    """Refuse a place or a format that rows of `schema` cannot be written to, before any is made."""
    suffix = PurePosixPath(output).suffix
    if suffix not in ("", ".csv", ".parquet"):
        raise ConfigError(f"--output must end in .csv or .parquet, or name a folder for a Delta table, got {output!r}")
    if not suffix and (unfit := [name for name in _names_within(schema) if MAPPED & set(name)]):
        raise DataError(f"a Delta table cannot have the columns {unfit}; let --output end in .parquet or .csv")


def _names_within(fields: Iterable[pa.Field]) -> Iterator[str]:
    """The names of columns and of the fields in them, however deep."""
    for field in fields:
        yield field.name
        yield from _names_within(field.type.field(i) for i in range(field.type.num_fields))


def write_output(output: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write all rows to `output`, in place of what is there; it is there whole or not at all."""
    before, slash, name = output.rpartition("/")
    folder = open_folder(before or slash or ".")
    if output.endswith(".csv"):
        # Lists and the like have no place in a CSV file; as they can be no features, they are null in all rows.
        flat = pa.schema([pa.field(f.name, pa.string() if pa.types.is_nested(f.type) else f.type) for f in schema])
        with (
            folder.stream(name) as stream,
            pyarrow.csv.CSVWriter(stream, flat) as writer,
        ):
            for batch in batches:
                columns = [
                    pa.nulls(len(batch), f.type) if c.type != f.type else c for c, f in zip(batch, flat, strict=True)
                ]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=flat))
    elif output.endswith(".parquet"):
        write_part(folder, name, schema, batches)
    else:
        tables.overwrite(output, pa.RecordBatchReader.from_batches(schema, batches))


def write_part(folder: Folder, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write rows as one Parquet file, a row group each batch or more."""
    with folder.stream(name) as stream, pq.ParquetWriter(stream, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def read_parts(folder: Folder, names: list[str]) -> Iterator[pa.RecordBatch]:
    """The rows of Parquet files, one file after the other."""
    for name in names:
        yield from pq.ParquetFile(pa.BufferReader(folder.read(name))).iter_batches()

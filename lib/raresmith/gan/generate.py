"""From a trained model and its synthetic rows to refined rows, and from there to one table."""

import hashlib
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from raresmith.contracts import Table
from raresmith.errors import DataError
from raresmith.gan import draws
from raresmith.gan.folder import Folder
from raresmith.gan.model import Model, Rows
from raresmith.gan.shares import parted
from raresmith.gan.tables import arrow_schema
from raresmith.random import Stream, hash64

BLOCK = 4096
"""Rows of every pass through the networks, the last one filled up: a matrix product may round differently for another
number of rows. Blocks are cut from the order of all rows, so any number of ranks makes the same ones."""
PIECE = 256 * BLOCK
"""Most rows that a process holds at a time while it generates."""


def pieces(total: int, rank: int, world_size: int) -> list[tuple[int, int, str]]:
    """What a rank makes of `total` rows: positions [low, high) of at most `PIECE` rows, whole blocks but for the last,
    and the name of the shard that holds them."""
    first, last = (bound * BLOCK for bound in parted(-(-total // BLOCK), world_size, rank))
    last = min(last, total)
    return [(low, min(low + PIECE, last), f"rows-{low:012d}.parquet") for low in range(first, last, PIECE)]


def blocks(
    model: Model, rows: Rows, row_ids: NDArray[np.int64]
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor, int]]:
    """For each block of `rows`: which rows, the refined rows (n, width), their scores, and how many numbers lay out of
    range.

    A refined row is a function of the weights, its synthetic row and the seed.
    """
    model.train(False)
    counters = torch.from_numpy(row_ids).to(model.device)
    with torch.inference_mode():
        for first in range(0, len(rows), BLOCK):
            n = min(BLOCK, len(rows) - first)
            # The last block is filled up with its first row.
            indices = torch.full((BLOCK,), first, device=model.device)
            indices[:n] = torch.arange(first, first + n, device=model.device)
            block, keys = rows.take(indices), counters[indices]
            raw = model.generated(block, keys)
            refined, _ = model.representation.clamp(raw)
            scores = model.scores(refined, block.classes)
            if not torch.isfinite(raw).all():
                raise DataError(
                    "the model makes numbers that are not finite; lower refine.learning_rate or refine.steps"
                )
            yield slice(first, first + n), refined[:n], scores[:n], model.representation.clamp(raw[:n])[1]


def write_shard(
    folder: Folder,
    name: str,
    contract: Table,
    model: Model,
    rows: Rows,
    row_ids: NDArray[np.int64],
    *,
    called: str,
    run_id: str,
) -> int:
    """Refine `rows` into the Parquet file `name`, in the columns of `refined`; return how many numbers were clamped."""
    schema = arrow_schema(contract)
    labels = np.array(model.classes, dtype=np.int32)[rows.classes.cpu().numpy()]
    made_ids = refined_row_ids(row_ids, run_id, model.seed)
    clamped = 0
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, schema) as writer:
        for part, refined, scores, outside in blocks(model, rows, row_ids):
            n = part.stop - part.start
            columns: dict[str, Any] = {
                "row_id": made_ids[part],
                "synthetic_row_id": row_ids[part] if model.latent == "synthetic" else pa.nulls(n, pa.int64()),
                "score": scores.double().cpu().numpy(),
                "model": pa.repeat(pa.scalar(called), n),
                "label": labels[part],
                "run_id": pa.repeat(pa.scalar(run_id), n),
                **model.representation.columns(refined),
            }
            writer.write_batch(pa.record_batch([columns[field.name] for field in schema], schema=schema))
            clamped += outside
    folder.write(name, buffer.getvalue())
    return clamped


def refined_row_ids(row_ids: NDArray[np.int64], run_id: str, seed: int) -> NDArray[np.int64]:
    """A 64-bit identity for each refined row: a hash of its synthetic row, the run and the seed."""
    key = int.from_bytes(hashlib.sha256(f"refined/{run_id}/{seed}".encode()).digest()[:8])
    return np.asarray(hash64(key, Stream.ROW_ID, row_ids), dtype=np.int64)


def read_shards(folder: Folder, names: list[str], contract: Table) -> pa.RecordBatchReader:
    """The rows of the Parquet files `names`, one row group after the other."""

    def batches() -> Iterator[pa.RecordBatch]:
        for name in names:
            yield from pq.ParquetFile(pa.BufferReader(folder.read(name))).iter_batches(BLOCK * 16)

    return pa.RecordBatchReader.from_batches(arrow_schema(contract), batches())


def content_hash(batches: pa.RecordBatchReader) -> str:
    """Hex digest of the rows, the same for any order; text, which is the same in every row, is left out."""
    total, rows = 0, 0
    for batch in batches:
        numbers = [
            column.fill_null(0).to_numpy(zero_copy_only=False)
            for field, column in zip(batch.schema, batch.columns, strict=True)
            if not (pa.types.is_string(field.type) or pa.types.is_string_view(field.type))
        ]
        # A sum, not an exclusive or: two equal rows must not cancel.
        total, rows = (total + int(row_hash(numbers).sum())) % 2**64, rows + len(batch)
    return f"{total:016x}-{rows}"


def row_hash(columns: Sequence[NDArray[np.generic]]) -> NDArray[np.int64]:
    """64 bits of each row of numbers, given by its columns."""
    value = torch.zeros(len(columns[0]), dtype=torch.int64)
    for column in columns:
        numbers = column.astype(np.float64).view(np.int64) if column.dtype.kind == "f" else column.astype(np.int64)
        value = draws.bits(0, value ^ draws.bits(1, torch.from_numpy(numbers)))
    return np.asarray(value)

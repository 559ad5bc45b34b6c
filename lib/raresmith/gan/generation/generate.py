"""From a trained model and its synthetic rows to refined rows, and from there to one table."""

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from raresmith.counter_rng import Stream, hash64
from raresmith.errors import DataError
from raresmith.gan.data.batches import parted
from raresmith.gan.data.rows import Rows
from raresmith.gan.data.tables import schema_of
from raresmith.gan.folder import Folder
from raresmith.gan.generation.copies import TrainRows, made_anew
from raresmith.gan.models.base import Model
from raresmith.tables.contracts import Table

BLOCK = 4096
"""Rows of a pass through the networks, the last one filled up where they are not taken in tiles: a matrix product may
round differently for another number of rows. Blocks are cut from the order of all rows, so any number of ranks makes
the same ones."""
PIECE = 256 * BLOCK
"""Most rows that a process holds at a time while it generates."""


def pieces(total: int, rank: int, world_size: int) -> list[tuple[int, int, str]]:
    """What a rank makes of `total` rows: positions [low, high) of at most `PIECE` rows, whole blocks but for the last,
    and the name of the shard that holds them."""
    first, last = (bound * BLOCK for bound in parted(-(-total // BLOCK), world_size, rank))
    last = min(last, total)
    return [(low, min(low + PIECE, last), f"rows-{low:012d}.parquet") for low in range(first, last, PIECE)]


def passed(model: Model, wanted: int) -> int:
    """How many rows `model` is to make for the `wanted` ones of a block."""
    return wanted if model.in_tiles else BLOCK


class Block(NamedTuple):
    """Refined rows of at most BLOCK others."""

    part: slice
    """Which rows were refined."""
    rows: torch.Tensor
    """Of shape (n, width)."""
    scores: torch.Tensor
    outside: int
    """Numbers that lay out of range."""
    copies: int
    """Rows that equal a train row."""


def blocks(model: Model, rows: Rows, row_ids: NDArray[np.int64], train_rows: TrainRows | None) -> Iterator[Block]:
    """`rows` refined block by block.

    A refined row is a function of the weights, the row that it starts from, its id, the seed, and what train rows there
    are.
    """
    model.train(False)
    counters = torch.from_numpy(row_ids).to(model.device)
    with torch.inference_mode():
        for first in range(0, len(rows), BLOCK):
            n = min(BLOCK, len(rows) - first)
            # The last block is filled up with its first row.
            indices = torch.full((passed(model, n),), first, device=model.device)
            indices[:n] = torch.arange(first, first + n, device=model.device)
            block, keys = rows.take(indices), counters[indices]
            start = block if model.latent == "synthetic" else None
            raw, is_copy = made_anew(model, partial(model.generated, block), start, keys, train_rows)
            refined, _ = model.representation.clamp(raw)
            scores = model.scores(refined, block.classes)
            if not torch.isfinite(raw).all():
                raise DataError(
                    "the model makes numbers that are not finite; lower refine.learning_rate or refine.steps"
                )
            outside = model.representation.clamp(raw[:n])[1]
            yield Block(slice(first, first + n), refined[:n], scores[:n], outside, int(is_copy[:n].sum()))


def write_shard(
    folder: Folder,
    name: str,
    contract: Table,
    model: Model,
    rows: Rows,
    row_ids: NDArray[np.int64],
    train_rows: TrainRows | None,
    *,
    called: str,
    run_id: str,
) -> tuple[int, int]:
    """Refine `rows` into the Parquet file `name`, in the columns of `refined`.

    Returns
    -------
    tuple of int
        How many numbers were clamped, and how many rows equal a train row.
    """
    schema = schema_of(contract)
    labels = np.array(model.classes, dtype=np.int32)[rows.classes.cpu().numpy()]
    made_ids = refined_row_ids(row_ids, run_id, model.seed)
    clamped, copies = 0, 0
    with folder.stream(name) as stream, pq.ParquetWriter(stream, schema) as writer:
        for part, refined, scores, outside, equal in blocks(model, rows, row_ids, train_rows):
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
            clamped, copies = clamped + outside, copies + equal
    return clamped, copies


def refined_row_ids(row_ids: NDArray[np.int64], run_id: str, seed: int) -> NDArray[np.int64]:
    """A 64-bit identity for each refined row: a hash of its synthetic row, the run and the seed."""
    key = int.from_bytes(hashlib.sha256(f"refined/{run_id}/{seed}".encode()).digest()[:8])
    return np.asarray(hash64(key, Stream.ROW_ID, row_ids), dtype=np.int64)

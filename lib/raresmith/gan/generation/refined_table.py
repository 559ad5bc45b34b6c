"""The table `refined`, made by a trained model from the synthetic rows."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import torch
from deltalake import DeltaTable

from raresmith.config import Config
from raresmith.encoding.encoder import Encoder
from raresmith.gan.data import tables
from raresmith.gan.data.batches import Order
from raresmith.gan.data.external_sort import read_pieces
from raresmith.gan.data.hashes import content_hash
from raresmith.gan.data.start_rows import start_of
from raresmith.gan.data.tables import RowSource, arrow_schema
from raresmith.gan.folder import open_folder
from raresmith.gan.generation.copies import read_train_rows
from raresmith.gan.generation.generate import pieces, write_shard
from raresmith.gan.generation.output import read_parts
from raresmith.gan.models.base import Model
from raresmith.gan.ranks import Process
from raresmith.tables import contracts
from raresmith.tables.stage_run import StageRun


def write_refined(
    config: Config,
    run: StageRun,
    process: Process,
    model: Model,
    called: str,
    synthetic: RowSource,
    features: DeltaTable,
    order: Order,
    encoder: Encoder,
    *,
    private: bool,
) -> None:
    """Replace the rows of `refined` by what `model` makes of those of `synthetic`, in one commit of all ranks together.

    Parameters
    ----------
    called
        What the column `model` says.
    order
        That of all rows of `synthetic`, whose classes are among the model's.
    private
        Whether its training was differentially private: then no row is held against train rows, for what is made in
        place of a copy would tell of them.
    """
    # Blocks are cut from the order of all synthetic rows, so that any number of ranks makes the same ones.
    contract = contracts.refined(encoder)
    staging = open_folder(f"{tables.model_location(config)}/staging")
    places = torch.tensor([model.classes.index(label) for label in order.counts()], dtype=torch.int64)
    known = None if private else read_train_rows(tables.train_rows(features, model.classes), encoder)
    start = start_of(model, synthetic, features)
    counts = torch.zeros(2, dtype=torch.int64, device=process.device)
    of_ranks = [pieces(len(order), rank, process.world_size) for rank in range(process.world_size)]
    mine = of_ranks[process.rank]
    stem = run.fingerprint[:8]  # another run of the same name may be under way
    bounds = [(low, high) for low, high, _ in mine]
    read = read_pieces(start, order, bounds, model.representation)
    for (_, _, name), (rows, row_ids) in zip(mine, read, strict=True):
        rows = replace(rows, classes=places[rows.classes]).to(process.device)
        counts += torch.tensor(
            write_shard(
                staging, f"{stem}-{name}", contract, model, rows, row_ids, known, called=called, run_id=run.run_id
            ),
            device=process.device,
        )
    clamped, copies = process.sum(counts).tolist()  # after this every shard is there
    if process.first:
        names = [f"{stem}-{name}" for of_rank in of_ranks for _, _, name in of_rank]
        numbers = len(order) * len(model.representation.numeric)
        notes: dict[str, Any] = {"clamped": clamped, "numbers": numbers, "copies": copies}
        refined = pa.RecordBatchReader.from_batches(arrow_schema(contract), read_parts(staging, names))
        tables.write_table(contract, tables.location(config, "refined"), refined, run, **notes)
        staging.delete_all("")


def refined_hash(config: Config) -> str:
    """Content hash of `refined` as it lies there."""
    return content_hash(tables.query(tables.open_table(tables.location(config, "refined")), "SELECT * FROM t"))

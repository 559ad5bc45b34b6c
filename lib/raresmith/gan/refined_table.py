"""The table `refined`, made by a trained model from the synthetic rows."""

from dataclasses import replace
from typing import Any

import torch
from deltalake import DeltaTable

from raresmith import contracts
from raresmith.config import Config
from raresmith.encoder import Encoder
from raresmith.gan import tables
from raresmith.gan.folder import open_folder
from raresmith.gan.generate import content_hash, pieces, read_shards, write_shard
from raresmith.gan.model import Model
from raresmith.gan.process import Process
from raresmith.gan.shares import Order, read_rows
from raresmith.runs import StageRun


def write_refined(
    config: Config,
    run: StageRun,
    process: Process,
    model: Model,
    called: str,
    synthetic: DeltaTable,
    order: Order,
    encoder: Encoder,
) -> None:
    """Replace the rows of `refined` by what `model` makes of those of `synthetic`, in one commit of all ranks together.

    Parameters
    ----------
    called
        What the column `model` says.
    order
        That of all rows of `synthetic`, whose classes are among the model's.
    """
    # Blocks are cut from the order of all synthetic rows, so that any number of ranks makes the same ones.
    contract = contracts.refined(encoder)
    staging = open_folder(f"{tables.model_location(config)}/staging")
    places = torch.tensor([model.classes.index(label) for label in order.counts()], dtype=torch.int64)
    clamped = torch.zeros((), dtype=torch.int64, device=process.device)
    for low, high, name in pieces(len(order), process.rank, process.world_size):
        rows, row_ids = read_rows(synthetic, order, low, high, "true", model.representation)
        rows = replace(rows, classes=places[rows.classes])
        clamped += write_shard(
            staging, name, contract, model, rows.to(process.device), row_ids, called=called, run_id=run.run_id
        )
    process.sum(clamped)  # after this every shard is there
    if process.first:
        names = [n for rank in range(process.world_size) for _, _, n in pieces(len(order), rank, process.world_size)]
        notes: dict[str, Any] = {"clamped": int(clamped), "numbers": len(order) * len(model.representation.numeric)}
        refined = read_shards(staging, names, contract)
        tables.write_table(contract, tables.location(config, "refined"), refined, run, **notes)
        for name in staging.names():
            staging.delete(name)


def refined_hash(config: Config) -> str:
    """Content hash of `refined` as it lies there."""
    return content_hash(tables.query(tables.open_table(tables.location(config, "refined")), "SELECT * FROM t"))

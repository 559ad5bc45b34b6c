"""The table `refined`, made by a trained model from the synthetic rows."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import torch

from raresmith.gan.data import tables
from raresmith.gan.data.external_sort import read_pieces
from raresmith.gan.data.tables import schema_of
from raresmith.gan.generation.copies import read_train_rows
from raresmith.gan.generation.generate import pieces, write_shard
from raresmith.gan.generation.output import read_parts
from raresmith.gan.models.base import Model
from raresmith.gan.stage.on_ranks import Stage
from raresmith.gan.training.start_rows import start_of
from raresmith.tables import contracts


def write_refined(stage: Stage, model: Model, called: str, *, private: bool) -> None:
    """Replace the rows of `refined` by what `model` makes of the synthetic ones, in one commit of all ranks together.

    Parameters
    ----------
    model
        The classes of the synthetic rows are among its own.
    called
        What the column `model` says.
    private
        Whether its training was differentially private: then no row is held against train rows, for what is made in
        place of a copy would tell of them.
    """
    ranks, run, index = stage.ranks, stage.run, stage.synthetic_index
    contract = contracts.refined(stage.encoder)
    places = torch.tensor([model.classes.index(label) for label in index.counts()], dtype=torch.int64)
    known = None if private else read_train_rows(tables.train_rows(stage.features, model.classes), stage.encoder)
    start = start_of(model, stage.synthetic, stage.features)
    counts = torch.zeros(2, dtype=torch.int64, device=ranks.device)
    # Blocks are cut from the index of all synthetic rows, so that any number of ranks makes the same ones.
    of_ranks = [pieces(len(index), rank, ranks.world_size) for rank in range(ranks.world_size)]
    mine = of_ranks[ranks.rank]
    stem = stage.begun[:8]  # another run of the same name may be under way
    read = read_pieces(start, index, [(low, high) for low, high, _ in mine], model.representation)
    for (_, _, name), (rows, row_ids) in zip(mine, read, strict=True):
        rows = replace(rows, classes=places[rows.classes]).to(ranks.device)
        found = write_shard(
            stage.staging, f"{stem}-{name}", contract, model, rows, row_ids, known, called=called, run_id=run.run_id
        )
        counts += torch.tensor(found, device=ranks.device)
    clamped, copies = ranks.all_reduce(counts).tolist()  # after this every shard is there
    if ranks.is_main:
        names = [f"{stem}-{name}" for of_rank in of_ranks for _, _, name in of_rank]
        numbers = len(index) * len(model.representation.numeric)
        notes: dict[str, Any] = {"clamped": clamped, "numbers": numbers, "copies": copies}
        refined = pa.RecordBatchReader.from_batches(schema_of(contract), read_parts(stage.staging, names))
        tables.write_table(contract, tables.location(stage.config, "refined"), refined, run, **notes)

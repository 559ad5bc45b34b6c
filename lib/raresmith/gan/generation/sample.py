"""Rows in the raw schema and units from a saved model, written to a file or a table: `raresmith generate`."""

import time

import torch

from raresmith.config import load_config
from raresmith.errors import ConfigError, DataError
from raresmith.gan.artifacts.model_reader import load_model
from raresmith.gan.data import tables
from raresmith.gan.data.tables import RowSource
from raresmith.gan.folder import open_folder
from raresmith.gan.generation.copies import read_train_rows
from raresmith.gan.generation.generate import BLOCK, pieces
from raresmith.gan.generation.only_generate import check_encoder
from raresmith.gan.generation.output import check_output, read_parts, write_output, write_part
from raresmith.gan.generation.sampler import Sampler, class_of
from raresmith.gan.ranks import Ranks
from raresmith.gan.training.start_rows import MOST, StartRows, start_of
from raresmith.generators.sample_request import SampleRequest
from raresmith.tables.stage_report import StageReport


def sample(
    request: SampleRequest,
    source: str,
    output: str,
    ranks: Ranks,
    logical_date: str = "",
    *,
    escape_formulas: bool = False,
) -> StageReport:
    """Write the rows of `request` to `output`, as one of the processes; the report is the same in each.

    Where `source` is a run, rows that equal one of its train rows are left out and counted.

    Parameters
    ----------
    source
        The folder of a saved model, or the configuration of a run (.toml), whose model starts from the run's synthetic
        rows where it was trained to and no column is given.
    output
        A .csv or .parquet file, or a folder for a Delta table; what is there is replaced.
    escape_formulas
        As of `write_output`.

    Raises
    ------
    DataError
        If there is no such model, it cannot make such rows, or they cannot be written there.
    """
    started = time.monotonic()
    sampler = make_sampler(request, source, ranks, logical_date)
    check_output(output, sampler.schema, escape_formulas=escape_formulas)
    total = request.num_samples
    if ranks.world_size == 1:
        write_output(output, sampler.schema, sampler.blocks(0, total), escape_formulas=escape_formulas)
    else:
        parts = open_folder(f"{output}.parts")
        for low, high, name in pieces(total, ranks.rank, ranks.world_size):
            write_part(parts, name, sampler.schema, sampler.blocks(low, high))
        ranks.barrier()
        if ranks.is_main:
            names = [n for rank in range(ranks.world_size) for _, _, n in pieces(total, rank, ranks.world_size)]
            write_output(output, sampler.schema, read_parts(parts, names), escape_formulas=escape_formulas)
            for name in names:
                parts.delete(name)
        ranks.barrier()
    copies = int(ranks.all_reduce(torch.tensor(sampler.copies, device=ranks.device)))
    rows, seconds = {"made": total - copies}, time.monotonic() - started
    if copies:
        rows["train_copies"] = copies
    return StageReport(stage="generate", rows=rows, seconds=seconds, words=output)


def make_sampler(request: SampleRequest, source: str, ranks: Ranks, logical_date: str = "") -> Sampler:
    """The sampler of a run or of a model's folder, as `sample` describes them."""
    if not source.endswith(".toml"):
        if logical_date:
            raise ConfigError("--logical-date goes with a configuration, not with a model's folder; leave it out")
        return Sampler(load_model(source, ranks.device), request)
    config = load_config(source, logical_date)
    location = tables.model_location(config)
    saved = load_model(location, ranks.device)
    check_encoder(saved.encoder, tables.read_encoder(config), location)
    classes = [*saved.model.classes]
    if request.label is not None:
        classes = [classes[class_of(saved, request.label)]]
    features = tables.read_own(config, "features")
    train_rows = None
    if saved.card.get("differential_privacy") is None:  # or what takes the place of a copy would tell of it
        train_rows = read_train_rows(tables.train_rows(features, classes), saved.encoder)
    if saved.model.latent == "noise" or request.where:
        return Sampler(saved, request, None, train_rows)
    synthetic = tables.read_own(config, "synthetic")
    wanted = -(-request.num_samples // BLOCK) * BLOCK
    start = StartRows(start_of(saved.model, RowSource(synthetic), features), saved.model, classes, wanted)
    if len(start) == 0:
        raise DataError(f"{synthetic.table_uri} has no rows of the classes {classes}; run oversample first")
    # Twice from the same row, such a model would make the same numbers.
    if len(start) < request.num_samples and not saved.model.trained_alike:
        more = "" if len(start) == MOST else "make more of them by oversample, "
        raise DataError(
            f"{saved.called}, makes one row of each synthetic row, of {MOST:,} at most, and takes {len(start):,} of "
            f"{synthetic.table_uri} where {request.num_samples:,} rows are asked for; ask for fewer, {more}"
            'or train with refine.latent = "noise"'
        )
    return Sampler(saved, request, start, train_rows)

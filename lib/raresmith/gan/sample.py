"""Rows in the raw schema and units from a saved model: `raresmith generate`."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import torch

from raresmith.config import load_config
from raresmith.encoder import Feature
from raresmith.errors import ConfigError, DataError
from raresmith.gan import draws, tables
from raresmith.gan.draws import Stream
from raresmith.gan.family import FAMILY
from raresmith.gan.folder import Copied, open_folder
from raresmith.gan.generate import BLOCK, pieces
from raresmith.gan.model import Rows
from raresmith.gan.only_generate import check_encoder
from raresmith.gan.output import check_output, read_parts, write_output, write_part
from raresmith.gan.process import Process
from raresmith.gan.redraw import Redraw
from raresmith.gan.saved_model import SavedModel, load_model, read_model
from raresmith.gan.start_rows import StartRows
from raresmith.raw_units import given, raw_rows, raw_schema
from raresmith.sample_request import SampleRequest
from raresmith.stages import StageReport


class Sampler:
    """Blocks of the rows that a request asks of a model; row i is a function of the model, the seed and i.

    Parameters
    ----------
    start
        What a model that starts from synthetic rows is to start from; without it, all rows are made from noise.

    Raises
    ------
    DataError
        If the model cannot make such rows.
    """

    def __init__(self, saved: SavedModel, request: SampleRequest, start: StartRows | None = None) -> None:
        self._saved, self._request, self._start = saved, request, start
        model, encoder = saved.model, saved.encoder
        self.schema = raw_schema(encoder)
        if start is None and model.latent == "synthetic":
            if not model.trained_alike:
                raise DataError(
                    f"{saved.called}, needs the synthetic rows of its run: ask `raresmith generate` with the run's "
                    'configuration in place of the folder, or train with refine.latent = "noise"'
                )
            model.latent = "noise"
        model.train(False)
        shares = torch.tensor(saved.card["class_rows"], dtype=torch.float64, device=model.device)
        self._class_ends = shares.cumsum(0)[:-1] / shares.sum()
        self._class = None if request.label is None else class_of(saved, request.label)

        features: dict[str, float] = {}
        self._values: dict[str, pa.Scalar] = {}
        for column, text in request.where:
            of_features, self._values[column] = given(encoder, column, text)
            features |= of_features
        self._generated: Callable[[Rows, torch.Tensor], torch.Tensor] = model.generated
        inputs: list[Feature] = [*model.representation.numeric, *model.representation.categorical]
        if request.where:
            if not isinstance(model, Redraw):
                raise DataError(f"{saved.called}, cannot make rows for given columns; of {list(FAMILY)} redraw can")
            is_given = torch.tensor([feature.name in features for feature in inputs], device=model.device)
            self._generated = partial(model.generated, given=is_given)
        # Where nothing is given any value will do, for it is not looked at.
        row = {f.name: f.encoded_low if f.kind == "numeric" else f.seen[0] for f in inputs} | features
        columns = {name: np.array([value]) for name, value in row.items()}
        numbers, positions = model.representation.split(columns, "the given columns")
        self._row = Rows(numbers, positions, torch.zeros(1, dtype=torch.int64)).to(model.device)

    def blocks(self, low: int, high: int) -> Iterator[pa.RecordBatch]:
        """The rows with the numbers [low, high), of which `low` begins a block, in batches of a block.

        Every block is made whole, for a matrix product may round differently for another number of rows.
        """
        model = self._saved.model
        for first in range(low, high, BLOCK):
            with torch.inference_mode():
                numbers = torch.arange(first, first + BLOCK, device=model.device)
                rows = self._rows(numbers)
                raw = self._generated(rows, draws.bits(draws.key(self._request.seed, Stream.SAMPLE), numbers))
                if not torch.isfinite(raw).all():
                    raise DataError(f"{self._saved.called}, makes numbers that are not finite; train it again")
                made, _ = model.representation.clamp(raw)
                columns = model.representation.columns(made)
                labels = np.array(model.classes, dtype=np.int32)[rows.classes.cpu().numpy()]
            batch = raw_rows(columns, labels, self._saved.encoder, self._saved.card["key"])
            for column, value in self._values.items():
                # As it was given: encoded numbers are rounded to 32 bits.
                place = self.schema.get_field_index(column)
                batch = batch.set_column(place, self.schema.field(place), pa.repeat(value, BLOCK))
            yield batch.slice(0, min(BLOCK, high - first))

    def _rows(self, numbers: torch.Tensor) -> Rows:
        """What the rows with these numbers start from."""
        if self._start is not None:
            return self._start.take(numbers)
        if self._class is not None:
            classes = torch.full_like(numbers, self._class)
        else:
            drawn = draws.uniform(draws.key(self._request.seed, Stream.CLASS), numbers, 1)[:, 0]
            classes = torch.bucketize(drawn.double(), self._class_ends, right=True)
        return replace(self._row.take(torch.zeros_like(numbers)), classes=classes)


def class_of(saved: SavedModel, label: str) -> int:
    """The place of a class, named as in the raw table, among those that the model makes."""
    made = [saved.encoder.label.classes[code] for code in saved.model.classes]
    if label not in made:
        raise DataError(f"--class is {label!r} but the model makes the classes {made} of {saved.encoder.label.name!r}")
    return made.index(label)


def sample(request: SampleRequest, source: str, output: str, process: Process, logical_date: str = "") -> StageReport:
    """Write the rows of `request` to `output`, as one of the processes; the report is the same in each.

    Parameters
    ----------
    source
        The folder of a saved model, or the configuration of a run (.toml), whose model starts from the run's synthetic
        rows where it was trained to and no column is given.
    output
        A .csv or .parquet file, or a folder for a Delta table; what is there is replaced.

    Raises
    ------
    DataError
        If there is no such model, or it cannot make such rows.
    """
    started = time.monotonic()
    sampler = make_sampler(request, source, process, logical_date)
    check_output(output, sampler.schema)
    total = request.num_samples
    if process.world_size == 1:
        write_output(output, sampler.schema, sampler.blocks(0, total))
    else:
        parts = open_folder(f"{output}.parts")
        for low, high, name in pieces(total, process.rank, process.world_size):
            write_part(parts, name, sampler.schema, sampler.blocks(low, high))
        process.wait()
        if process.first:
            names = [n for rank in range(process.world_size) for _, _, n in pieces(total, rank, process.world_size)]
            write_output(output, sampler.schema, read_parts(parts, names))
            for name in names:
                parts.delete(name)
        process.wait()
    rows, seconds = {"made": total}, time.monotonic() - started
    return StageReport(stage="generate", rows=rows, seconds=seconds, words=f"           {output}")


def make_sampler(request: SampleRequest, source: str, process: Process, logical_date: str = "") -> Sampler:
    """The sampler of a run or of a model's folder, as `sample` describes them."""
    if not source.endswith(".toml"):
        if logical_date:
            raise ConfigError("--logical-date goes with a configuration, not with a model's folder; leave it out")
        return Sampler(load_model(source, process.device), request)
    config = load_config(source, logical_date)
    location = tables.model_location(config)
    saved = load_model(location, process.device)
    if saved.model.latent == "noise" or request.where:
        return Sampler(saved, request)
    check_encoder(saved.encoder, tables.read_encoder(tables.location(config, "encoder")), location)
    synthetic = tables.open_table(tables.location(config, "synthetic"))
    classes = [*saved.model.classes]
    if request.label is not None:
        classes = [classes[class_of(saved, request.label)]]
    wanted = -(-request.num_samples // BLOCK) * BLOCK
    start = StartRows(synthetic, saved.model, classes, wanted)
    if len(start) == 0:
        raise DataError(f"{synthetic.table_uri} has no rows of the classes {classes}; run oversample first")
    # Twice from the same row, such a model would make the same numbers.
    if len(start) < request.num_samples and not saved.model.trained_alike:
        raise DataError(
            f"{saved.called}, makes one row of each synthetic row, and {synthetic.table_uri} has {len(start):,} of the "
            f"classes where {request.num_samples:,} are asked for; ask for fewer, make more of them by oversample, or "
            'train with refine.latent = "noise"'
        )
    return Sampler(saved, request, start)


def make_blocks(files: dict[str, bytes], request: SampleRequest, numbers: Iterable[int]) -> Iterator[pa.RecordBatch]:
    """Of the rows that `sample` would make the blocks with these numbers, on the CPU: a task of a cluster's job.

    Parameters
    ----------
    files
        Those of `FILES`, by name.
    """
    torch.set_num_threads(1)
    sampler = Sampler(read_model(Copied(files), "the job", torch.device("cpu")), request)
    for number in numbers:
        yield from sampler.blocks(number * BLOCK, min((number + 1) * BLOCK, request.num_samples))

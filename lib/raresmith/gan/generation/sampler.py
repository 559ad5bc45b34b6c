"""Blocks of rows in the raw schema and units by a saved model."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import torch

from raresmith.encoding.decode import RawUnits
from raresmith.encoding.encoder import Feature
from raresmith.errors import DataError
from raresmith.gan import counter_rng
from raresmith.gan.artifacts.checkpoint import read_tensors
from raresmith.gan.artifacts.saved_model import SavedModel, rebuilt
from raresmith.gan.counter_rng import Stream
from raresmith.gan.data.rows import Rows
from raresmith.gan.folder import Copied
from raresmith.gan.generation.copies import TrainRows, made_anew
from raresmith.gan.generation.generate import BLOCK, passed
from raresmith.gan.training.start_rows import StartRows
from raresmith.generators.registry import GENERATORS
from raresmith.generators.sample_request import SampleRequest


class Sampler:
    """Blocks of the rows that a request asks of a model; row i is a function of the model, the seed and i.

    Parameters
    ----------
    start
        What a model that starts from synthetic rows is to start from; without it, all rows are made from noise.
    train_rows
        Rows that none that is made may equal; without them, none is held against any.

    Attributes
    ----------
    copies
        Rows made so far that were left out.

    Raises
    ------
    DataError
        If the model cannot make such rows.
    """

    def __init__(
        self,
        saved: SavedModel,
        request: SampleRequest,
        start: StartRows | None = None,
        train_rows: TrainRows | None = None,
    ) -> None:
        self._saved, self._request, self._start, self._train_rows = saved, request, start, train_rows
        self.copies = 0
        model = saved.model
        self._raw = RawUnits(saved.encoder, saved.card["key"])
        self.schema = self._raw.schema
        features: dict[str, float] = {}
        self._values: dict[str, pa.Scalar] = {}
        for column, text in request.where:
            of_features, self._values[column] = self._raw.given(column, text)
            features |= of_features
        if request.where and not model.spec.can_condition:
            able = [name for name, spec in GENERATORS.available().items() if spec.can_condition]
            raise DataError(f"{saved.called}, cannot make rows for given columns; train one of {able}, which can")
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

        self._generated: Callable[[Rows, torch.Tensor], torch.Tensor] = model.generated
        inputs: list[Feature] = [*model.representation.numeric, *model.representation.categorical]
        if request.where:
            is_given = torch.tensor([feature.name in features for feature in inputs], device=model.device)
            self._generated = partial(model.completed, given=is_given)
        # Where nothing is given any value will do, for it is not looked at.
        row = {f.name: f.encoded_low if f.kind == "numeric" else f.seen[0] for f in inputs} | features
        columns = {name: np.array([value]) for name, value in row.items()}
        numbers, positions = model.representation.split(columns, "the given columns")
        self._row = Rows(numbers, positions, torch.zeros(1, dtype=torch.int64)).to(model.device)

    def blocks(self, low: int, high: int) -> Iterator[pa.RecordBatch]:
        """The rows with the numbers [low, high), of which `low` begins a block, in batches of a block."""
        model = self._saved.model
        for first in range(low, high, BLOCK):
            with torch.inference_mode():
                size = passed(model, min(BLOCK, high - first))
                numbers = torch.arange(first, first + size, device=model.device)
                rows = self._rows(numbers)
                counters = counter_rng.bits(counter_rng.key(self._request.seed, Stream.SAMPLE), numbers)
                generated, start = partial(self._generated, rows), rows if self._start is not None else None
                raw, is_copy = made_anew(model, generated, start, counters, self._train_rows)
                if not torch.isfinite(raw).all():
                    raise DataError(f"{self._saved.called}, makes numbers that are not finite; train it again")
                made, _ = model.representation.clamp(raw)
                columns = model.representation.columns(made)
                labels = np.array(model.classes, dtype=np.int32)[rows.classes.cpu().numpy()]
            batch = self._raw.rows(columns, labels)
            for column, value in self._values.items():
                # As it was given: encoded numbers are rounded to 32 bits.
                place = self.schema.get_field_index(column)
                batch = batch.set_column(place, self.schema.field(place), pa.repeat(value, size))
            kept = np.arange(size) < high - first
            self.copies += int((is_copy & kept).sum())
            yield batch.filter(pa.array(kept & ~is_copy))

    def _rows(self, numbers: torch.Tensor) -> Rows:
        """What the rows with these numbers start from."""
        if self._start is not None:
            return self._start.take(numbers)
        if self._class is not None:
            classes = torch.full_like(numbers, self._class)
        else:
            drawn = counter_rng.uniform(counter_rng.key(self._request.seed, Stream.CLASS), numbers, 1)[:, 0]
            classes = torch.bucketize(drawn.double(), self._class_ends, right=True)
        return replace(self._row.take(torch.zeros_like(numbers)), classes=classes)


def class_of(saved: SavedModel, label: str) -> int:
    """The place of a class, named as in the raw table, among those that the model makes."""
    made = [saved.encoder.label.classes[code] for code in saved.model.classes]
    if label not in made:
        raise DataError(f"--class is {label!r} but the model makes the classes {made} of {saved.encoder.label.name!r}")
    return made.index(label)


def make_blocks(files: dict[str, bytes], request: SampleRequest, numbers: Iterable[int]) -> Iterator[pa.RecordBatch]:
    """Of the rows that `sample` would make the blocks with these numbers, on the CPU: a task of a cluster's job.

    Parameters
    ----------
    files
        Those of `FILES`, by name, of a model that `read_model` took.
    """
    torch.set_num_threads(1)
    sampler = Sampler(rebuilt(*read_tensors(Copied(files), "model"), torch.device("cpu")), request)
    for number in numbers:
        yield from sampler.blocks(number * BLOCK, min((number + 1) * BLOCK, request.num_samples))

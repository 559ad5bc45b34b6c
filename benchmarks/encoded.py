"""Given rows of quality.py as `raresmith prepare` encodes them, and rows made in that encoding."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from measuring_spark import open_spark
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from quality_tables import Given, Rows

from raresmith.config import PrepareConfig
from raresmith.encoding.encoder import Label
from raresmith.oversampling.base import MadeRows
from raresmith.oversampling.crossover import Crossover
from raresmith.oversampling.plan import plan_class
from raresmith.spark.columns import LABEL, ROW_ID
from raresmith.spark.encoding.decode import decode
from raresmith.spark.encoding.drawn import is_drawn
from raresmith.spark.encoding.encode import encode
from raresmith.spark.encoding.fit import fit_encoder
from raresmith.spark.neighbors.feature_matrix import FeatureColumns

Latent = Literal["synthetic", "noise"]
NEIGHBORS = 10
"""Of the crossover rows that models start from."""


@cache
def _spark() -> SparkSession:
    return open_spark("quality", Path(tempfile.mkdtemp()), driver_memory="4g")


class Encoded:
    """The given rows of the minority as the trainer reads them, encoded by what both classes have."""

    def __init__(self, given: Given) -> None:
        self.given = given
        table, n_minority, n_majority = given.table, len(given.of_minority), len(given.of_majority)
        rows = pa.Table.from_pandas(table.frame.iloc[np.r_[given.of_minority, given.of_majority]], preserve_index=False)
        label = np.repeat(np.array([1, 0], np.int32), [n_minority, n_majority])
        rows = rows.append_column(ROW_ID, [np.arange(len(rows))]).append_column(LABEL, [label])
        train = _spark().createDataFrame(rows).cache()
        fields = train.schema.fields[: table.frame.shape[1]]
        codes = tuple(name for name, is_code in zip(train.columns, table.is_categorical, strict=False) if is_code)
        self.encoder = fit_encoder(
            train, fields, [], Label(name=LABEL, type="int", classes=("0", "1"), positive="1"),
            train.drop(ROW_ID).schema, PrepareConfig(categorical=codes),
            is_drawn({0: n_majority, 1: n_minority}, len(fields)),
        )  # fmt: skip
        minority = encode(train.where(F.col(LABEL) == 1), self.encoder).orderBy("row_id").toArrow()
        train.unpersist()
        self.columns = np.stack([minority.column(name).to_numpy() for name in self.encoder.names])

    def crossover(self, n_neighbors: int) -> MadeRows:
        """Rows of crossover among the given ones."""
        features, n = FeatureColumns.of(self.encoder).features, len(self.given.of_minority)
        plan = plan_class(
            Crossover(), np.arange(n), self.columns, features, self.given.n_rows, min(n_neighbors, n - 1),
            self.given.seed,
        )  # fmt: skip
        return plan.rows(np.arange(self.given.n_rows))

    def refined(self, name: str, latent: Latent, settings: dict[str, Any]) -> Rows:
        """Rows of the model `name`, trained and generated as the stage does it."""
        import torch

        from raresmith.config import RefineConfig
        from raresmith.gan.artifacts.checkpoint import Checkpoints
        from raresmith.gan.data.batches import BatchLoader
        from raresmith.gan.data.representation import Representation
        from raresmith.gan.data.rows import Rows as Tensors
        from raresmith.gan.folder import open_folder
        from raresmith.gan.generation.copies import TrainRows
        from raresmith.gan.generation.generate import blocks
        from raresmith.gan.models.base import Setting
        from raresmith.gan.privacy.private_gan import make_batch_sampler
        from raresmith.gan.ranks import Ranks
        from raresmith.gan.train import train
        from raresmith.gan.training.early_stopping import EarlyStopping
        from raresmith.generators.registry import GENERATORS

        torch.set_num_threads(1)
        cpu, representation, seed = torch.device("cpu"), Representation(self.encoder), self.given.seed
        # The last step is kept: there is no validation split.
        config = RefineConfig(model=name, latent=latent, validate_every=0, **settings)

        def tensors(columns: NDArray[Any]) -> Tensors:
            named = dict(zip(self.encoder.names, columns, strict=True))
            numbers, positions = representation.split(named, "the given rows")
            return Tensors(numbers, positions, torch.zeros(len(numbers), dtype=torch.int64))

        made = self.crossover(NEIGHBORS)
        real = tensors(self.columns)
        start = tensors(self.columns[:, made.base_row_id] if GENERATORS[name].starts_from_base else made.columns)
        setting = Setting(representation=representation, latent=latent, classes=(1,), seed=seed, device=cpu)
        net = GENERATORS[name].model().build(setting, config.parameters, lambda: real)
        ranks = Ranks(0, 1, cpu)
        sampler = make_batch_sampler(ranks, config, net, {1: len(real)}, {1: len(start)}, None)
        with tempfile.TemporaryDirectory() as folder:
            checkpoints = Checkpoints(open_folder(folder), "quality")
            train(config, ranks, net, BatchLoader(sampler, real, start), checkpoints, EarlyStopping(ranks))
        known = TrainRows(self.encoder, [dict(zip(self.encoder.names, self.columns, strict=True))])
        parts = [block.rows for block in blocks(net, start, made.row_id, known)]
        columns = representation.columns(torch.cat(parts))
        return self.decoded(np.stack([columns[name] for name in self.encoder.names]))

    def decoded(self, columns: NDArray[Any]) -> Rows:
        """Encoded columns as rows of the raw table."""
        encoded = _spark().createDataFrame(pa.table(dict(zip(self.encoder.names, columns, strict=True))))
        raw = decode(encoded, self.encoder, clamp=True)
        rows = encoded.select(*[raw[f.source].alias(f.source) for f in self.encoder.features if f.source in raw])
        return self.given.table.rows(rows.toArrow().to_pandas(date_as_object=True))

"""What a model starts from: synthetic rows or their base rows, and these over and over."""

from dataclasses import replace

import numpy as np
import torch
from deltalake import DeltaTable

from raresmith.gan.data.rows import Rows
from raresmith.gan.data.tables import RowSource, train_rows
from raresmith.gan.models.base import Model

MOST = 2**20
"""Of more synthetic rows these many are started from."""


def start_of(model: Model, synthetic: RowSource, features: DeltaTable) -> RowSource:
    """The rows that `model` starts from for those of `synthetic`; `features` has their base rows."""
    return replace(synthetic, base=train_rows(features, model.classes)) if model.spec.starts_from_base else synthetic


class StartRows:
    """Rows of `source` in the order of row_id, which is a hash and so a random order that no file layout changes.

    Parameters
    ----------
    classes
        The labels to take; they are among those that `model` makes.
    wanted
        Rows that will be asked for: no more than these are kept.
    """

    def __init__(self, source: RowSource, model: Model, classes: list[int], wanted: int) -> None:
        of_classes = f"label IN ({', '.join(map(str, classes))})"
        row_ids = np.sort(source.read((), of_classes)["row_id"])[:MOST]
        self._total, self._rows = len(row_ids), None
        if self._total:
            names = model.representation.names
            condition = f"{of_classes} AND row_id <= {row_ids[: max(wanted, 1)][-1]}"
            columns = source.read(names, condition)
            order = np.argsort(columns["row_id"])
            columns = {name: column[order] for name, column in columns.items()}
            numbers, positions = model.representation.split({n: columns[n] for n in names}, source.table.table_uri)
            places = torch.from_numpy(np.searchsorted(model.classes, columns["label"]))
            self._rows = Rows(numbers, positions, places).to(model.device)

    def __len__(self) -> int:
        """Rows that there are, `MOST` at most."""
        return self._total

    def take(self, numbers: torch.Tensor) -> Rows:
        """The row that each of `numbers` starts from: they go through all rows and then begin again."""
        assert self._rows is not None
        return self._rows.take(numbers % self._total)

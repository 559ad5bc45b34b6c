"""Feature rows as the networks see them, and back: numbers as they are encoded, categories one-hot over seen codes."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from raresmith.encoding.decode import stand_ins
from raresmith.encoding.encoder import NUMBER, CategoricalFeature, Encoder, NumericFeature
from raresmith.errors import DataError

TEMPERATURE = 0.5
"""Of the softmax in training: lower is closer to the one-hot row, higher has a calmer gradient."""


class Representation:
    """`width` inputs and outputs of the networks: the numbers first, then a block for each category."""

    def __init__(self, encoder: Encoder) -> None:
        self.names = encoder.names
        self.numeric = [f for f in encoder.features if isinstance(f, NumericFeature)]
        self.categorical = [f for f in encoder.features if isinstance(f, CategoricalFeature)]
        self.sizes = [len(feature.seen) for feature in self.categorical]
        self.starts = [len(self.numeric) + sum(self.sizes[:i]) for i in range(len(self.sizes))]
        self.width = len(self.numeric) + sum(self.sizes)
        # As the train rows store them: rounded to 32 bits.
        self.low = torch.tensor([f.encoded_low for f in self.numeric], dtype=torch.float32)
        self.high = torch.tensor([f.encoded_high for f in self.numeric], dtype=torch.float32)

    def split(self, columns: Mapping[str, NDArray[np.generic]], table: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Numbers (n, numerics) as float32 and, for each category, which input is 1 (n, categories).

        Raises
        ------
        DataError
            If a number is not finite or a code is not one that train rows have.
        """
        n = len(next(iter(columns.values())))
        numbers = np.empty((n, len(self.numeric)), dtype=np.float32)
        positions = np.empty((n, len(self.categorical)), dtype=np.int64)
        for i, numeric in enumerate(self.numeric):
            with np.errstate(over="ignore"):  # what 32 bits do not hold is not finite there
                numbers[:, i] = columns[numeric.name]
            if not np.isfinite(numbers[:, i]).all():
                raise DataError(
                    f"column {numeric.name} of {table} has null, NaN or infinite values where only finite numbers "
                    "are expected; run the stage that writes it again"
                )
        for i, categorical in enumerate(self.categorical):
            seen = np.array(categorical.seen)
            codes = columns[categorical.name]
            found = np.minimum(np.searchsorted(seen, codes), len(seen) - 1)
            positions[:, i] = self.starts[i] + found
            if len(strangers := np.unique(codes[seen[found] != codes])):
                raise DataError(
                    f"column {categorical.name} of {table} has codes {strangers[:5].tolist()} that train rows do not "
                    "have; run prepare and oversample again"
                )
        return torch.from_numpy(numbers), torch.from_numpy(positions)

    def join(self, numbers: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Network rows (n, width) of what `split` gave."""
        rows = numbers.new_zeros(len(numbers), self.width)
        rows[:, : len(self.numeric)] = numbers
        if self.starts:
            rows.scatter_(1, positions, 1.0)
        return rows

    def activate(self, raw: torch.Tensor, gumbel: torch.Tensor | None) -> torch.Tensor:
        """The generator's raw output (n, width) as rows: numbers as they are, each block one-hot.

        A category is drawn with the probability that softmax gives it, by adding `gumbel` (n, sum of sizes) to the
        logits; the gradient is the softmax's (Jang, Gu, Poole 2017, arXiv:1611.01144, straight-through).
        """
        if not self.categorical:
            return raw
        assert gumbel is not None
        numbers, logits = raw.split([len(self.numeric), sum(self.sizes)], dim=1)
        parts = [numbers]
        for block in ((logits + gumbel) / TEMPERATURE).split(self.sizes, dim=1):
            soft = block.softmax(dim=1)
            hard = torch.zeros_like(soft).scatter_(1, block.argmax(dim=1, keepdim=True), 1.0)
            parts.append(hard - soft.detach() + soft if soft.requires_grad else hard)
        return torch.cat(parts, dim=1)

    def clamp(self, rows: torch.Tensor) -> tuple[torch.Tensor, int]:
        """`rows` with each number inside the range of the train rows, and how many numbers lay outside."""
        numbers = rows[:, : len(self.numeric)]
        inside = torch.maximum(torch.minimum(numbers, self.high.to(rows.device)), self.low.to(rows.device))
        return torch.cat([inside, rows[:, len(self.numeric) :]], dim=1), int((inside != numbers).sum())

    def columns(self, rows: torch.Tensor) -> dict[str, NDArray[np.generic]]:
        """Feature columns in table order of clamped one-hot `rows` (n, width), each in the type it is stored as."""
        cpu = rows.cpu()
        columns: dict[str, NDArray[np.generic]] = {}
        for i, numeric in enumerate(self.numeric):
            values = cpu[:, i].numpy()
            if numeric.storage == "double":
                columns[numeric.name] = np.clip(values.astype(np.float64), numeric.encoded_low, numeric.encoded_high)
            else:
                columns[numeric.name] = values
        for start, size, categorical in zip(self.starts, self.sizes, self.categorical, strict=True):
            codes = np.array(categorical.seen, dtype=np.float32)
            columns[categorical.name] = codes[cpu[:, start : start + size].argmax(dim=1).numpy()]
        for name, (state, stand_in) in stand_ins(self.numeric).items():
            columns[name] = np.where(columns[state] == NUMBER, columns[name], columns[name].dtype.type(stand_in))
        return {name: columns[name] for name in self.names}

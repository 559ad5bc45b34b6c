"""Two oversamplers of another distribution."""

import copy
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
from annotated_types import Ge, Gt, Lt
from numpy.typing import NDArray

from raresmith.oversampling.base import ClassSample, NeighborOversampler, Oversampler, Parents
from raresmith.oversampling.smote import interpolate


class Midpoint(NeighborOversampler):
    """Rows at a fixed share of the way to a neighbour."""

    name = "midpoint"
    title = "midpoint"
    explained = "with rows between two rows"

    @dataclass(frozen=True, kw_only=True)
    class Parameters(NeighborOversampler.Parameters):
        """Where on the way."""

        share: Annotated[float, Gt(0), Lt(1)] = 0.5
        """Share of the way to the neighbour; in (0, 1)."""

    def draw(self, parents: Parents) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Between base and neighbour; a category is the base's."""
        gap = np.full(len(parents.base), float(self.parameters.share))
        base, neighbor = parents.columns[:, parents.base], parents.columns[:, parents.neighbor]
        return np.where(parents.is_categorical[:, None], base, interpolate(base, neighbor, gap)), gap


class Jitter(Oversampler):
    """Rows near a row, as far as a share of the class's deviation; it looks for no neighbours."""

    name = "jitter"
    title = "jitter"
    explained = "with rows near a row"
    _deviation: NDArray[np.float64]

    @dataclass(frozen=True, kw_only=True)
    class Parameters(Oversampler.Parameters):
        """How far."""

        spread: Annotated[float, Ge(0)] = 0.1
        """Deviations to either side at most; at least 0."""

    def usable_neighbors(self, n_rows: int, class_name: str) -> int:
        """None."""
        return 0

    def fit(self, rows: ClassSample) -> Self:
        """Learn how far the class reaches."""
        fitted = copy.copy(self)
        fitted._deviation = np.where(rows.features.is_categorical, 0, rows.columns.std(axis=1, dtype=np.float64))
        return fitted

    def draw(self, parents: Parents) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """The base, moved in each column."""
        base = parents.columns[:, parents.base]
        tosses = np.stack([parents.uniform(1000, f) for f in range(len(base))])
        moved = base + (2 * tosses - 1) * self.parameters.spread * self._deviation[:, None]
        return moved.astype(base.dtype), np.zeros(len(parents.base))

"""How far two rows lie from each other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Distance:
    """How far two rows lie from each other: the squared distance is a sum over the columns.

    A numeric column adds the squared difference, a categorical one `weight` where the codes differ.
    """

    is_categorical: NDArray[np.bool_]
    """Of shape (n_features,): the columns that hold codes."""
    weight: float = 0.0
    """Squared distance of two categories."""
    places: tuple[NDArray[np.float64], ...] = ()
    """For tables with categories only, a number for each code of each column: two codes are as far apart as these."""
    rotation: NDArray[np.float64] | None = None
    """Orthonormal directions that rows are first compared in, of shape (n_numeric, n_directions).

    They change how long a search takes and never what it finds.
    """

    @classmethod
    def among(cls, columns: NDArray[Any], is_categorical: NDArray[np.bool_]) -> "Distance":
        """The distance of SMOTE-NC between rows such as these, of shape (n_features, n_rows)."""
        return cls(is_categorical, category_weight(columns, is_categorical))

    def placed(self, columns: NDArray[Any]) -> NDArray[Any]:
        """The columns as they are measured."""
        if not self.places:
            return columns
        return np.stack([place[codes.astype(np.int64)] for place, codes in zip(self.places, columns, strict=True)])


def category_weight(columns: NDArray[Any], is_categorical: NDArray[np.bool_]) -> float:
    """Squared distance of two categories: the squared median of the numeric columns' deviations, 1 without any."""
    if not is_categorical.any():
        return 0.0
    deviations = []
    for column in columns[~is_categorical]:
        # Accumulated, not summed: how NumPy groups a sum depends on the processor.
        values = column.astype(np.float64)
        values -= np.add.accumulate(values)[-1] / len(values)
        deviations.append(np.sqrt(np.add.accumulate(values * values)[-1] / len(values)))
    return float(np.median(deviations)) ** 2 if deviations else 1.0

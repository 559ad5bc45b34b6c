"""Random oversampling: train rows again."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from raresmith.oversampling.base import Oversampler, Parents


class RandomOverSampler(Oversampler):
    """Rows of the class again, each equally often but for one."""

    name = "random"
    title = "random oversampling"
    explained = "rows of the same classes repeated, as many as oversampling made"
    copies_rows = True

    def usable_neighbors(self, n_rows: int, class_name: str) -> int:
        """None: a row is its own neighbour."""
        return 0

    def draw(self, parents: Parents) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """The base again."""
        return parents.columns[:, parents.base], np.zeros(len(parents.base))

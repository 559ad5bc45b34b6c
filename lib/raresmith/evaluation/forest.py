"""A random forest of rows that lie in one process: as Spark MLlib grows it, on the same bins, and far quicker.

As there, each tree sees rows by Poisson counts, a split is the best of a few columns and none where these gain nothing,
two leaves that predict the same class become one, and the classes' shares are averaged over the trees (Breiman 2001).
"""

from dataclasses import dataclass
from math import ceil, log2, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raresmith.evaluation.cuts import place_cuts

Floats = NDArray[np.float64]


class Labelled(NamedTuple):
    """Rows with their classes."""

    x: NDArray[np.float32]
    """Shape (n, d)."""
    labels: NDArray[np.int32]
    weights: Floats


class Scores(NamedTuple):
    """What a model says of rows that it has not seen."""

    probabilities: Floats
    """Shape (m, classes)."""
    importances: Floats
    """Of each column, shape (d,), summing to 1; zeros where no tree has a split."""


@dataclass(frozen=True, kw_only=True)
class Forest:
    """How the trees grow."""

    num_trees: int
    max_depth: int
    max_bins: int
    min_instances_per_node: int
    subsampling_rate: float
    columns_of_a_split: int
    arities: tuple[int, ...]
    """Of each column, as `cuts.arities` has them."""
    positive: int

    def judge(self, real: Labelled, train: Labelled, x: NDArray[np.float32], n_classes: int, seed: int) -> Scores:
        """Probabilities of the rows `x`, shape (m, d), by a forest of `train`; the bins are those of `real`."""
        from raresmith.evaluation.tree import grow, poisson

        bins = self._bins(real, (train.x, x))
        nominal = np.array(self.arities) > 0
        scores, importances = np.zeros((len(x), n_classes)), np.zeros(len(bins))
        counts = np.empty(len(train.x), np.int64)
        for tree in range(self.num_trees):
            state = np.random.SeedSequence([seed, tree]).generate_state(1, np.uint64)
            poisson(state, self.subsampling_rate, counts)
            of_tree = np.zeros(len(bins))
            grow(
                bins, nominal, train.labels, counts, train.weights, self.positive, self.columns_of_a_split,
                self.max_depth, self.min_instances_per_node, state, scores, of_tree,
            )  # fmt: skip
            importances += of_tree / (of_tree.sum() or 1)
        return Scores(scores / self.num_trees, importances / (importances.sum() or 1))

    def _bins(self, real: Labelled, parts: tuple[NDArray[np.float32], ...]) -> NDArray[np.uint16]:
        """The bin of each column for the rows of `parts`, shape (d, rows)."""
        bins = np.empty((len(self.arities), sum(map(len, parts))), np.uint16)
        is_positive = real.labels == self.positive
        for column, arity in enumerate(self.arities):
            values = np.concatenate([part[:, column] for part in parts])
            if arity:
                bins[column] = values
            else:
                known = real.x[:, column].astype(np.float64)
                cuts = place_cuts(known, known[is_positive], self.max_bins)
                bins[column] = np.searchsorted(np.array(cuts), values, side="right")
        return bins


def columns_of_a_split(strategy: str, n_columns: int, num_trees: int) -> int:
    """How many of `n_columns` a split may look at, where MLlib calls it `strategy`."""
    named: dict[str, float] = {
        "auto": sqrt(n_columns) if num_trees > 1 else n_columns,
        "all": n_columns,
        "sqrt": sqrt(n_columns),
        "log2": log2(n_columns),
        "onethird": n_columns / 3,
    }
    if strategy in named:
        return max(1, ceil(named[strategy]))
    if strategy.isdigit():
        return min(int(strategy), n_columns)
    return max(1, ceil(float(strategy) * n_columns))

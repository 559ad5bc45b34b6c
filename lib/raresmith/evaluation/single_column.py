"""How well one column tells a class by itself: near certainty is more often a leak than a finding."""

import numpy as np
from numpy.typing import NDArray

from raresmith.evaluation.metrics import Ranking, roc_auc

LEAK = 0.99
"""Area under the curve from which on one column by itself is too good to be known beforehand."""
FEWEST = 10
"""Rows of the class, and others, below which the area says nothing."""


def area_of_numbers(values: NDArray[np.float64], is_positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve by `values` (n,) or by their reverse, whichever is larger: at least 0.5, and 0.5 where
    the rows are too few to say."""
    if min(is_positive.sum(), (~is_positive).sum()) < FEWEST:
        return 0.5
    _, places = np.unique(-values, return_inverse=True)
    counted = [np.bincount(places, weights)[None, :].astype(float) for weights in (is_positive, ~is_positive)]
    area = float(roc_auc(Ranking.of(*counted))[0])
    return max(area, 1 - area)


def area_of_categories(codes: NDArray[np.int64], is_positive: NDArray[np.bool_]) -> float:
    """The same by the share of the class in each category, given as `codes` (n,) from 0 on.

    0.5 where there is more than one category for twenty rows: so many tell any class in the rows they were learnt from.
    """
    rows = np.bincount(codes)
    if np.count_nonzero(rows) > len(codes) // 20:
        return 0.5
    shares = np.bincount(codes, is_positive, len(rows)) / np.maximum(rows, 1)
    return area_of_numbers(shares[codes], is_positive)

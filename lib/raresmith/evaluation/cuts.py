"""Where the numbers of a column are cut into bins, before trees are grown on them."""

import numpy as np
from numpy.typing import NDArray

from raresmith.encoding.encoder import Encoder


def arities(encoder: Encoder, max_bins: int) -> tuple[int, ...]:
    """Of each column how many codes it has; 0 for numbers, and for a category of more codes than bins."""
    codes = (feature.n_codes if feature.kind == "categorical" else 0 for feature in encoder.features)
    return tuple(n if n <= max_bins else 0 for n in codes)


def place_cuts(values: NDArray[np.float64], positives: NDArray[np.float64], max_bins: int) -> tuple[float, ...]:
    """At most `max_bins` - 1 cuts, each in the middle between two neighbouring values.

    All of them where there are few values; else half at quantiles of the rows, a quarter at those of the positive rows
    and all that is left (many quantiles may be one value) at those of the distinct values.
    """
    distinct = np.unique(np.concatenate([values, positives]))
    middles = (distinct[1:] + distinct[:-1]) / 2
    if len(middles) < max_bins:
        return tuple(middles.tolist())
    n_cuts = max_bins - 1
    chosen = _cuts_at_quantiles(values, distinct, (n_cuts + 1) // 2)
    chosen |= _cuts_at_quantiles(positives, distinct, n_cuts // 4)
    chosen |= _cuts_at_quantiles(distinct, distinct, n_cuts - len(chosen))
    return tuple(middles[sorted(chosen)].tolist())


def _cuts_at_quantiles(values: NDArray[np.float64], distinct: NDArray[np.float64], n: int) -> set[int]:
    """Places in `distinct` of at most `n` even quantiles of `values`; the last place has no cut above it."""
    if n == 0 or len(values) == 0:
        return set()
    quantiles = np.quantile(values, (np.arange(n) + 0.5) / n, method="inverted_cdf")
    return set(np.searchsorted(distinct, quantiles).tolist()) - {len(distinct) - 1}

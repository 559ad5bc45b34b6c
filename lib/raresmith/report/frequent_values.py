"""How often made rows have what many real ones have in common: no value, zeros, sentinels, caps."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raresmith.encoding.encoder import NO_NUMBER, Encoder, NumericFeature

MOST = 20
"""Values that are shown of wide tables: those whose shares are farthest apart."""


class FrequentValue(NamedTuple):
    """A value of a number column, and the share of the rows that have it."""

    column: str
    value: str
    shares: dict[str, float]
    """By "real" and the strategies that add rows."""

    @property
    def farthest(self) -> float:
        """The largest difference from the real rows' share."""
        return max(abs(share - self.shares["real"]) for share in self.shares.values())


def frequent_values(samples: Mapping[str, NDArray[np.float64]], encoder: Encoder) -> list[FrequentValue]:
    """The masses of number columns and the nulls that train rows had, those first whose shares are farthest apart.

    Parameters
    ----------
    samples
        By "real" and strategy encoded rows, (n_rows, n_features), at least one each.
    """
    if len(samples) < 2 or "real" not in samples:
        return []
    place = {name: i for i, name in enumerate(encoder.names)}
    found = []
    for feature in encoder.features:
        if not isinstance(feature, NumericFeature) or not feature.state:
            continue
        of_origin = {origin: rows[:, place[feature.state]] for origin, rows in samples.items()}
        for code, value in enumerate(("no value", *feature.masses), NO_NUMBER):
            shares = {origin: float(np.mean(states == code)) for origin, states in of_origin.items()}
            if any(shares.values()):
                found.append(FrequentValue(feature.source, value, shares))
    return sorted(found, key=lambda one: -one.farthest)[:MOST]

"""Feature rows in two dimensions, on the axes of the real rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_LEVELS = 30
"""Codes of a categorical column that get an axis of their own, the most frequent first."""


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Rows on the first two principal axes of the real rows."""

    points: Mapping[str, Floats]
    """By origin, shape (rows, 2)."""
    explained: tuple[float, float]
    """Share of the real rows' variance along each axis."""


def project(samples: Mapping[str, Floats], categorical: Sequence[bool]) -> Projection:
    """Every sample on one basis, which `samples["real"]` alone has fitted.

    Each column is scaled to the real rows' mean and deviation, each frequent code of a categorical column counts as a
    column of zeros and ones. The larger end of each axis is where its heaviest column grows, so that the same rows
    always give the same picture.
    """
    real = samples["real"]
    levels = {place: _frequent(real[:, place]) for place, is_code in enumerate(categorical) if is_code}
    expanded = {name: _expand(rows, levels) for name, rows in samples.items()}
    fitted = expanded["real"]
    mean, deviation = fitted.mean(axis=0), fitted.std(axis=0)
    # A column that is constant in the real rows says nothing about them; made rows may not stretch it.
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 1e-12)
    _, lengths, axes = np.linalg.svd((fitted - mean) * scale, full_matrices=False)
    axes = np.vstack([axes, np.zeros((2, fitted.shape[1]))])[:2]
    heaviest = axes[[0, 1], np.argmax(np.abs(axes), axis=1)]
    axes = axes * np.where(heaviest < 0, -1.0, 1.0)[:, None]
    variances = np.append(lengths**2, [0.0, 0.0])
    shares = variances[:2] / max(float(variances.sum()), 1e-300)
    return Projection(
        points={name: (rows - mean) * scale @ axes.T for name, rows in expanded.items()},
        explained=(float(shares[0]), float(shares[1])),
    )


def _frequent(codes: Floats) -> Floats:
    values, counts = np.unique(codes, return_counts=True)
    return values[np.argsort(-counts, kind="stable")][:MAX_LEVELS]


def _expand(rows: Floats, levels: Mapping[int, Floats]) -> Floats:
    numbers = rows[:, [place for place in range(rows.shape[1]) if place not in levels]]
    return np.hstack([numbers, *((rows[:, [place]] == codes).astype(np.float64) for place, codes in levels.items())])

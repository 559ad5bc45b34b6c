"""Counts of scored rows for the tests of this folder."""

import numpy as np
from hypothesis import strategies as st

from raresmith.evaluation.counts import SCORE_STEPS, ScoreCounts, score_counts


@st.composite
def counted(draw: st.DrawFn) -> ScoreCounts:
    """Counts with ties, empty cells and at least one row of each class."""
    n = draw(st.integers(1, 25))
    scores = draw(st.lists(st.integers(0, SCORE_STEPS), min_size=n, max_size=n, unique=True))
    cells = st.lists(st.integers(0, 40), min_size=n, max_size=n).filter(any)
    return score_counts(scores, draw(cells), draw(cells))


def rows(counts: ScoreCounts) -> dict[str, np.ndarray]:
    """scikit-learn's arguments: one weighted row for each class and score."""
    n = len(counts.score)
    return {
        "y_true": np.repeat([1, 0], n),
        "y_score": np.tile(counts.score, 2) / SCORE_STEPS,
        "sample_weight": np.concatenate([counts.positive, counts.negative]),
    }


def called(counts: ScoreCounts, threshold: int) -> dict[str, np.ndarray]:
    arguments = rows(counts)
    score = arguments.pop("y_score")
    return {**arguments, "y_pred": (np.rint(score * SCORE_STEPS) >= threshold).astype(int)}


def example(seed: int = 0) -> ScoreCounts:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, SCORE_STEPS, 3000)
    positive = generator.random(3000) < 0.2 * (scores / SCORE_STEPS) ** 2
    return score_counts(scores, positive, ~positive)

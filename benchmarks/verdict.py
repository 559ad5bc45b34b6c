"""How often the verdict is wrong where there are few positive test rows: by this its least number was chosen.

python benchmarks/verdict.py [--tables 1000] [--resamples 200]

Each table has so many positive rows and fifty times as many others, scored by two classifiers that share most of what
they see. Where both are equally good, an interval of 95 % may leave out 0 in 5 % of the tables; where one is better, it
may miss the true difference in 5 %. Three ways to take the interval from the same paired Poisson resamples are held
side by side. Where rows come five to an entity they are alike, and the resamples of rows do not know it.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import sqrt
from typing import Any

import numpy as np
from measuring import print_figures, write_results
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from raresmith.evaluation.counts import SCORE_STEPS, PairCounts, ScoreCounts, level_cuts, score_counts
from raresmith.evaluation.intervals import paired_differences
from raresmith.evaluation.metrics import exact_figures

UNITS = (1, 2, 3, 5, 10, 20, 30, 50)
"""Positive rows of each class, or entities with some."""
NEGATIVES = 50
"""Rows of other classes for each positive one."""
CONFUSED = 1.0
"""How far rows of one class lie above others where another class is scored."""
SHARED = 0.8
"""Share of the scores' variance that both classifiers have in common."""
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class World:
    """Where test tables come from."""

    name: str
    found: float = 1.0
    """Share of the positive rows that a classifier can tell from others."""
    shift: float = 2.5
    """How far these lie above the others, in standard deviations."""
    better: float = 0.0
    """By how much the second classifier shifts them more."""
    per_entity: int = 1
    classes: int = 1
    """Classes that are judged; rows of one look a little like rows of another."""

    def draw(self, units: int, generator: np.random.Generator) -> list[tuple[Bools, Floats, Floats]]:
        """For each class which rows are of it, and the scores of both classifiers; `units` are rows or entities."""
        n_positive = units * self.per_entity
        n = n_positive * (self.classes + NEGATIVES)
        label = np.minimum(np.arange(n) // n_positive, self.classes)
        # Rows of one entity differ by half as much as entities do; others stand alone.
        entity = np.where(label < self.classes, np.arange(n) // self.per_entity * self.per_entity, np.arange(n))

        def noise(share: float) -> Floats:
            own = generator.normal(size=n)
            alike = own if self.per_entity == 1 else sqrt(0.5) * (own + generator.normal(size=n)[entity])
            return sqrt(share) * alike

        is_found = (generator.random(n) < self.found)[entity]
        tables = []
        for place in range(self.classes):
            shared = noise(SHARED) + CONFUSED * ((label != place) & (label < self.classes))
            mine = label == place
            first, second = (
                shared + noise(1 - SHARED) + shift * (mine & is_found)
                for shift in (self.shift, self.shift + self.better)
            )
            tables.append((mine, first, second))
        return tables


WORLDS = (
    World(name="equal"),
    World(name="equal, half are found", found=0.5, shift=4.0),
    World(name="second better", better=0.5),
    World(name="equal, mean of two classes", classes=2),
    World(name="equal, half are found, 5 to an entity", found=0.5, shift=4.0, per_entity=5),
)


def counted(label: Bools, *scores: Floats) -> tuple[PairCounts, tuple[ScoreCounts, ScoreCounts]]:
    """The rows as evaluate counts them."""
    whole = [np.clip((score + 6) / 18, 0, 1) * SCORE_STEPS for score in scores]
    counts = [score_counts(np.rint(score), label, ~label) for score in whole]
    levels = [
        np.searchsorted(level_cuts(of), np.rint(score), side="right") for of, score in zip(counts, whole, strict=True)
    ]
    cells, place = np.unique(np.stack(levels), axis=1, return_inverse=True)
    positive, negative = (np.bincount(place.ravel(), weights=mask).astype(np.int64) for mask in (label, ~label))
    return PairCounts(first=cells[0], second=cells[1], positive=positive, negative=negative), (counts[0], counts[1])


def difference(counts: tuple[ScoreCounts, ScoreCounts]) -> float:
    first, second = (exact_figures(of, {})["average_precision"] for of in counts)
    return second - first


def percentile(value: float, draws: Floats, n: int) -> Floats:
    """The percentiles as they are."""
    return np.percentile(draws, [2.5, 97.5])


def expanded(value: float, draws: Floats, n: int) -> Floats:
    """Percentiles farther out, for what few rows hide of their spread: ours, but from two rows on."""
    if n < 2:
        return np.array([-np.inf, np.inf])
    tail = 100 * float(norm.cdf(-sqrt(n / (n - 1)) * student.ppf(0.975, n - 1)))
    return np.percentile(draws, [tail, 100 - tail])


def student_t(value: float, draws: Floats, n: int) -> Floats:
    """The spread of the resamples by Student's t."""
    if n < 2:
        return np.array([-np.inf, np.inf])
    reach = student.ppf(0.975, n - 1) * sqrt(n / (n - 1)) * draws.std()
    return np.array([value - reach, value + reach])


METHODS: dict[str, Callable[[float, Floats, int], Floats]] = {
    "percentile": percentile,
    "expanded": expanded,
    "t": student_t,
}


@cache
def true_difference(world: World) -> float:
    """That of a table so long that chance no longer counts."""
    if not world.better:
        return 0.0
    (table,) = world.draw(40_000, np.random.default_rng(0))
    return difference(counted(*table)[1])


def judge(world: World, units: int, tables: int, resamples: int) -> dict[str, Any]:
    """How often each interval leaves out what is true, in per cent of the tables."""
    generator = np.random.default_rng([units, WORLDS.index(world)])
    truth = true_difference(world)
    missed, widths = dict.fromkeys(METHODS, 0), dict.fromkeys(METHODS, 0.0)
    for table in range(tables):
        classes = [counted(*of) for of in world.draw(units, generator)]
        drawn = [paired_differences(pairs, resamples, table, stream) for stream, (pairs, _) in enumerate(classes)]
        draws = np.mean([np.sort(of[: min(map(len, drawn))]) for of in drawn], axis=0)  # as evaluate takes them
        value = float(np.mean([difference(counts) for _, counts in classes]))
        for name, interval in METHODS.items():
            low, high = interval(value, draws, units)
            missed[name] += bool(low > truth or high < truth)
            widths[name] += float(high - low) / tables
    found = {name: 100 * wrong / tables for name, wrong in missed.items()}
    # Without an end there is no width, and JSON knows no infinity.
    wide = {f"{name} width": width if np.isfinite(width) else None for name, width in widths.items()}
    return {"world": world.name, "units": units, "truth": round(truth, 4), **found, **wide}


def main() -> None:
    """Measure every world at every number of positive rows, or of entities with five of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--tables", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=200)
    given = parser.parse_args()
    rows = [judge(world, n, given.tables, given.resamples) for world in WORLDS for n in UNITS]
    print_figures(rows)
    print(write_results("verdict", {**vars(given), "rows": rows}))


if __name__ == "__main__":
    main()

"""Cells of all classes: enough rows of one, not too many of the others."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from raresmith.neighbors.distance import Distance
from raresmith.neighbors.regions import Regions, fit_regions

ON_A_LINE = np.arange(6, dtype=np.float32)[None] * 10
NUMERIC = Distance(np.zeros(1, bool))


def regions_of(
    own: list[int], others: list[int], fewest: int = 16, cell_rows: int = 1000, centers: NDArray[Any] = ON_A_LINE
) -> Regions:
    return fit_regions(centers, NUMERIC, np.array(own), np.array(others, float), fewest, cell_rows, 3)


def test_a_center_with_too_few_rows_of_the_class_joins_the_nearest_that_has_them() -> None:
    regions = regions_of([20, 3, 0, 0, 9, 30], [100] * 6)
    assert regions.region.tolist() == [0, 0, 0, 1, 1, 1]
    assert regions.parts.tolist() == [1, 1]
    assert regions.kept.tolist() == [1] * 6
    assert regions.kept_of_others == 1
    assert regions.largest == 339


def test_a_class_with_too_few_rows_in_all_has_one_cell() -> None:
    regions = regions_of([1, 0, 2, 0, 0, 3], [0] * 6)
    assert len(regions) == 1
    assert regions.kept_of_others == 0


def test_of_a_cell_that_grew_all_rows_of_the_class_and_first_of_all_those_around_them_are_kept() -> None:
    regions = regions_of([500, 0, 0, 0, 0, 0], [1000, 4000, 0, 1000, 0, 0])
    assert len(regions) == 1
    # 2,000 rows fit: 500 of the class, 1,000 around them, and 500 of the 5,000 elsewhere.
    np.testing.assert_allclose(regions.kept, [1, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert regions.largest == 2000
    ids, columns = np.arange(10_000), np.repeat(ON_A_LINE[:, [0, 1]], 5000, axis=1)
    others = regions.of(ids, columns, np.zeros(10_000, bool))
    assert (others[:5000] == 0).all()
    assert (others[5000:] == 0).mean() == pytest.approx(0.1, abs=0.02)
    assert (others[5000:] <= 0).all()
    assert (regions.of(ids, columns, np.ones(10_000, bool)) == 0).all()


def test_a_heap_of_equal_rows_of_the_class_is_dealt_into_parts() -> None:
    regions = regions_of([4500, 20, 20, 20, 20, 20], [0, 10, 10, 10, 10, 10])
    assert regions.parts.tolist() == [5, 1, 1, 1, 1, 1]
    cells = regions.of(np.arange(4500), np.zeros((1, 4500), np.float32), np.ones(4500, bool))
    assert np.bincount(cells).min() > 700


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), n_centers=st.integers(1, 40), scale=st.sampled_from([3, 100, 5000]))
def test_every_cell_has_the_rows_it_needs_and_room_for_them(seed: int, n_centers: int, scale: int) -> None:
    rng = np.random.default_rng(seed)
    centers = rng.integers(0, 9, (2, n_centers)).astype(np.float32)  # some of them equal
    own, others = rng.integers(0, scale, n_centers), rng.integers(0, 3 * scale, n_centers)
    distance = Distance(np.zeros(2, bool))
    regions = fit_regions(centers, distance, own, others.astype(float), 16, 1000, 3)
    n_own = np.bincount(regions.region, weights=own)
    assert n_own.min() >= min(16, own.sum())
    assert regions.largest <= 2000
    assert ((regions.kept >= 0) & (regions.kept <= 1)).all()
    assert (n_own / regions.parts).max() <= 1000

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.neighbors.test_cells import curved
from tests.oversampling.plans import smote

from raresmith.neighbors.distance import Distance
from raresmith.neighbors.rotation import rotated
from raresmith.neighbors.search import Candidates

N_ROWS = 60_000


def flat(n_rows: int, n_features: int = 24, seed: int = 0) -> NDArray[np.float32]:
    """Rows near a surface of three dimensions."""
    return curved(n_rows, n_features, seed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_near_a_surface_are_compared_in_few_directions_and_have_the_same_neighbors(
    dtype: type[np.floating[Any]],
) -> None:
    columns = flat(N_ROWS).astype(dtype)
    distance = Distance(np.zeros(len(columns), bool))
    turned = rotated(distance, columns, 5)
    assert turned.rotation is not None
    assert turned.rotation.shape[1] < 12
    np.testing.assert_allclose(turned.rotation.T @ turned.rotation, np.eye(turned.rotation.shape[1]), atol=1e-12)
    asked = np.arange(0, N_ROWS, 200)
    plain, quick = (Candidates(columns, one).nearest(columns[:, asked], 5, asked) for one in (distance, turned))
    np.testing.assert_array_equal(quick[0], plain[0])
    np.testing.assert_array_equal(quick[1], plain[1])
    plan = smote(np.arange(N_ROWS), columns, distance.is_categorical, 10, 5, 0)
    np.testing.assert_array_equal(plan.neighbors(asked), plain[0])


def test_codes_are_left_as_they_are() -> None:
    columns = np.concatenate([flat(N_ROWS), np.arange(2 * N_ROWS).reshape(2, -1) % 7]).astype(np.float32)
    distance = Distance(np.arange(26) >= 24, 0.01)
    turned = rotated(distance, columns, 5)
    assert turned.rotation is not None
    assert turned.rotation.shape[0] == 24
    asked = np.arange(0, N_ROWS, 500)
    plain, quick = (Candidates(columns, one).nearest(columns[:, asked], 5, asked) for one in (distance, turned))
    np.testing.assert_array_equal(quick[0], plain[0])


@pytest.mark.parametrize(
    "columns",
    [
        np.random.default_rng(0).standard_normal((20, N_ROWS)),
        flat(2000),
        flat(N_ROWS)[:1],
    ],
    ids=["independent columns", "few rows", "one column"],
)
def test_rows_are_left_as_they_are_where_turning_does_not_pay(columns: NDArray[Any]) -> None:
    assert rotated(Distance(np.zeros(len(columns), bool)), columns.astype(np.float32), 5).rotation is None


def test_numbers_too_large_to_square_are_scaled_first() -> None:
    columns = flat(N_ROWS).astype(np.float64) * 1e149
    turned = rotated(Distance(np.zeros(len(columns), bool)), columns, 5)
    assert turned.rotation is not None
    assert np.isfinite(turned.rotation).all()

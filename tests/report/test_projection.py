"""Two dimensions, fitted on the real rows alone."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from raresmith.report.projection import project

GENERATOR = np.random.default_rng(0)
REAL = GENERATOR.normal(size=(200, 4)) @ GENERATOR.normal(size=(4, 4)) + 3


def test_numbers_are_projected_as_scikit_learn_does() -> None:
    found = project({"real": REAL, "smote": REAL[:5] + 1}, [False] * 4)
    scaled = (REAL - REAL.mean(axis=0)) / REAL.std(axis=0)
    reference = PCA(2).fit(scaled)
    assert np.abs(found.points["real"]) == pytest.approx(np.abs(reference.transform(scaled)))
    assert found.explained == pytest.approx(tuple(reference.explained_variance_ratio_))


def test_made_rows_do_not_move_the_axes() -> None:
    alone = project({"real": REAL}, [False] * 4)
    beside = project({"real": REAL, "refined": GENERATOR.normal(0, 100, size=(50, 4))}, [False] * 4)
    assert np.array_equal(alone.points["real"], beside.points["real"])


def test_the_same_rows_land_in_the_same_place() -> None:
    found = project({"real": REAL, "smote": REAL[10:20]}, [False] * 4)
    assert found.points["smote"] == pytest.approx(found.points["real"][10:20])


def test_codes_are_names_not_quantities() -> None:
    codes = np.repeat([2.0, 3.0, 9.0], 20)[:, None]
    points = project({"real": codes}, [True]).points["real"]
    centres = points[[0, 20, 40]]
    distances = [np.linalg.norm(centres[i] - centres[j]) for i, j in ((0, 1), (1, 2), (0, 2))]
    assert distances == pytest.approx([distances[0]] * 3)


@pytest.mark.parametrize("real", [np.ones((1, 3)), np.ones((6, 3)), np.array([[1.0], [2.0]])])
def test_too_little_to_see_is_no_error(real: NDArray[Any]) -> None:
    found = project({"real": real, "smote": real + 5}, [False] * real.shape[1])
    assert found.points["smote"].shape == (len(real), 2)
    assert np.isfinite(found.points["smote"]).all()

import numpy as np
from imblearn.metrics.pairwise import ValueDifferenceMetric
from imblearn.over_sampling import SMOTEN
from numpy.typing import NDArray
from tests.oversampling.plans import counts_of, smote

from raresmith.neighbors.distance import Distance
from raresmith.neighbors.search import nearest
from raresmith.oversampling.plan import ClassPlan
from raresmith.oversampling.smoten import category_places


def codes_and_classes(
    n_rows: int = 400, n_features: int = 6, n_categories: int = 12, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Codes of shape (n_features, n_rows); what they say of the class differs from category to category."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, n_categories, (n_features, n_rows))
    return codes, rng.random(n_rows) < 1 / (1 + np.exp(2.5 - codes.mean(axis=0) / 3))


def places_of(codes: NDArray[np.int64], rare: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
    return category_places(*counts_of(codes, rare))


def planned(codes: NDArray[np.int64], rare: NDArray[np.bool_], n_to_make: int = 600, k: int = 5) -> ClassPlan:
    columns = codes[:, rare].astype(np.float32)
    everywhere = np.full(len(codes), True)
    return smote(np.flatnonzero(rare), columns, everywhere, n_to_make, k, 3, "smoten", counts=counts_of(codes, rare))


def test_two_rows_are_as_far_apart_as_imbalanced_learn_has_them() -> None:
    codes, rare = codes_and_classes()
    reference = ValueDifferenceMetric(n_categories=[12] * 6).fit(codes.T, rare).pairwise(codes.T[rare])
    columns = codes[:, rare].astype(np.float32)
    n = columns.shape[1]
    found, squared = nearest(columns, np.arange(n), n - 1, Distance(np.full(6, True), places=places_of(codes, rare)))
    # Theirs takes no root of the sum of squares.
    np.testing.assert_allclose(squared, np.take_along_axis(reference, found, axis=1), rtol=1e-9, atol=1e-12)


def test_a_category_that_says_the_same_of_the_class_is_at_the_same_place() -> None:
    (places,) = category_places([np.array([1, 2, 0, 0])], [np.array([4, 8, 5, 0])])
    assert places.tolist() == [0.5, 0.5, 0.0, 0.0]


def test_made_rows_are_those_of_imbalanced_learn() -> None:
    codes, rare = codes_and_classes()
    plan = planned(codes, rare)
    made = plan.rows(np.arange(plan.n_to_make))
    theirs = SMOTEN(random_state=0, sampling_strategy={True: int(rare.sum()) * 60, False: int((~rare).sum())})
    rows, _ = theirs.fit_resample(codes.T, rare)
    # They choose the least of equally frequent categories and we draw, so theirs are all among ours or nearly.
    possible = set(map(tuple, rows[len(codes.T) :].tolist()))
    drawn = planned(codes, rare, n_to_make=int(rare.sum()) * 200)
    ours = set(map(tuple, drawn.rows(np.arange(drawn.n_to_make)).columns.T.astype(int).tolist()))
    assert len(possible & ours) >= 0.9 * len(possible)
    assert (made.gap == 0).all()


def test_each_value_is_the_most_frequent_of_the_base_and_its_neighbors() -> None:
    codes, rare = codes_and_classes(n_categories=4)
    plan = planned(codes, rare)
    made = plan.rows(np.arange(plan.n_to_make))
    base = np.searchsorted(plan.row_ids, made.base_row_id)
    voters = np.c_[base, plan.neighbors(base)]
    for column, values in zip(plan.columns, made.columns, strict=True):
        votes = (column[voters][:, :, None] == np.arange(4)).sum(axis=1)
        np.testing.assert_array_equal(votes[np.arange(len(base)), values.astype(int)], votes.max(axis=1))


def test_any_slice_makes_the_same_rows() -> None:
    codes, rare = codes_and_classes()
    plan = planned(codes, rare)
    parts = [plan.rows(np.arange(*ends)).columns for ends in ((0, 1), (1, 250), (250, 600))]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), plan.rows(np.arange(600)).columns)

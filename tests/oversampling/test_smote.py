from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import SMOTE, SMOTENC
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.neighbors import NearestNeighbors
from tests.oversampling.plans import oversampler, smote

from raresmith.errors import DataError
from raresmith.neighbors.distance import category_weight
from raresmith.oversampling.base import Features, MadeRows, copies_per_base
from raresmith.oversampling.plan import ClassPlan, plan_class
from raresmith.oversampling.smote import interpolate, vote


def numeric(n_features: int) -> NDArray[np.bool_]:
    return np.zeros(n_features, bool)


def planned(
    rows: NDArray[Any],
    n_to_make: int,
    is_categorical: ArrayLike | None = None,
    k: int = 5,
    seed: int = 0,
    row_ids: NDArray[np.int64] | None = None,
    **method: Any,
) -> ClassPlan:
    columns = np.ascontiguousarray(rows.T)
    is_categorical = numeric(len(columns)) if is_categorical is None else np.asarray(is_categorical)
    row_ids = np.arange(len(rows)) if row_ids is None else row_ids
    return smote(row_ids, columns, is_categorical, n_to_make, k, seed, **method)


def all_rows(plan: ClassPlan) -> MadeRows:
    return plan.rows(np.arange(plan.n_to_make))


def positions(plan: ClassPlan, row_id: NDArray[np.int64]) -> NDArray[np.intp]:
    return np.searchsorted(plan.row_ids, row_id)


@given(n_rows=st.integers(1, 50), n_to_make=st.integers(0, 500), seed=st.integers(0, 2**63 - 1))
def test_every_row_is_base_equally_often_give_or_take_one(n_rows: int, n_to_make: int, seed: int) -> None:
    copies = copies_per_base(np.arange(n_rows) * 7, n_to_make, seed)
    assert copies.sum() == n_to_make
    assert copies.max() - copies.min() <= 1


def test_the_rows_with_one_copy_more_are_chosen_by_seed() -> None:
    chosen = np.array([copies_per_base(np.arange(10), 13, seed) - 1 for seed in range(1000)])
    assert (abs(chosen.mean(axis=0) - 0.3) < 0.06).all()


def test_the_same_neighbors_bases_and_gaps_give_the_rows_of_imbalanced_learn() -> None:
    rows = np.random.default_rng(0).standard_normal((200, 6))
    plan = planned(rows, 730)
    made = all_rows(plan)
    base, neighbor = positions(plan, made.base_row_id), positions(plan, made.neighbor_row_id)
    near = NearestNeighbors(n_neighbors=6).fit(rows).kneighbors(rows)[1][:, 1:]
    drawn = np.argmax(near[base] == neighbor[:, None], axis=1)
    assert (near[base, drawn] == neighbor).all()
    expected = SMOTE()._generate_samples(rows, rows, near, base, drawn, made.gap[:, None])
    np.testing.assert_allclose(made.columns.T, expected, rtol=1e-14, atol=1e-14)


def test_made_rows_are_distributed_as_those_of_imbalanced_learn() -> None:
    rng = np.random.default_rng(1)
    rows = rng.gamma(2, size=(150, 4)) @ rng.standard_normal((4, 4))
    both, y = np.r_[rows, np.zeros((750, 4))], np.r_[np.ones(150), np.zeros(750)]
    ours = np.concatenate([all_rows(planned(rows, 600, seed=seed)).columns.T for seed in range(30)])
    theirs = np.concatenate([SMOTE(random_state=seed).fit_resample(both, y)[0][900:] for seed in range(30)])
    assert len(ours) == len(theirs) == 18_000
    for direction in [*np.eye(4), *rng.standard_normal((4, 4))]:
        assert stats.ks_2samp(ours @ direction, theirs @ direction).pvalue > 0.01


def test_neighbors_and_gaps_are_drawn_uniformly_and_independently() -> None:
    rows = np.random.default_rng(2).standard_normal((50, 2))
    plan = planned(rows, 50 * 400, k=4)
    made = all_rows(plan)
    near = NearestNeighbors(n_neighbors=5).fit(rows).kneighbors(rows)[1][:, 1:]
    drawn = np.argmax(near[positions(plan, made.base_row_id)] == made.neighbor_row_id[:, None], axis=1)
    assert stats.chisquare(np.bincount(drawn)).pvalue > 0.01
    assert stats.kstest(made.gap, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(drawn, made.gap)[0, 1]) < 0.02
    assert (made.gap >= 0).all()
    assert (made.gap < 1).all()


@pytest.mark.parametrize("method", ["smote", "crossover"])
@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_any_slicing_makes_the_same_rows_bit_for_bit(size: int, method: str) -> None:
    rng = np.random.default_rng(3)
    rows = np.c_[rng.standard_normal((300, 5)), rng.integers(2, 5, (300, 2))].astype(np.float32)
    plan = planned(rows, 1000, [False] * 5 + [True] * 2, method=method)
    whole = all_rows(plan)
    for start in range(0, 1000, size):
        part = plan.rows(np.arange(start, min(start + size, 1000)))
        for name in ("row_id", "base_row_id", "neighbor_row_id", "gap"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[start : start + size])
        np.testing.assert_array_equal(part.columns, whole.columns[:, start : start + size])


def test_asking_for_more_rows_keeps_the_first_copies() -> None:
    rows = np.random.default_rng(4).standard_normal((20, 3))
    few, many = all_rows(planned(rows, 20)), all_rows(planned(rows, 55))
    assert set(few.row_id) <= set(many.row_id)
    assert len(set(many.row_id)) == 55


def test_another_seed_makes_other_rows() -> None:
    rows = np.random.default_rng(5).standard_normal((20, 3))
    assert not set(all_rows(planned(rows, 40, seed=1)).row_id) & set(all_rows(planned(rows, 40, seed=2)).row_id)


finite = st.floats(-(2.0**100), 2.0**100, width=32)


@given(base=finite, neighbor=finite, gap=st.floats(0, 1, exclude_max=True))
def test_a_made_number_lies_between_its_ends(base: float, neighbor: float, gap: float) -> None:
    for dtype in (np.float32, np.float64):
        ends = np.array([base, neighbor], dtype)
        made = interpolate(ends[:1], ends[1:], np.array([gap]))
        assert made.dtype == dtype
        assert ends.min() <= made[0] <= ends.max()


def test_votes_go_to_the_most_frequent_code() -> None:
    codes = np.array([[2, 3, 3, 4], [5, 5, 5, 2]], np.float32)
    assert vote(codes, np.array([0, 1, 0]), np.array([0.0, 0.5, 0.99])).tolist() == [3, 5, 3]


def test_a_tie_of_votes_is_drawn_fairly_among_the_tied_codes() -> None:
    codes = np.array([[2, 3, 9, 3, 2]], np.float32)
    draws = np.linspace(0, 1, 1000, endpoint=False)
    winners = vote(codes, np.zeros(1000, int), draws)
    assert np.unique(winners, return_counts=True)[1].tolist() == [500, 500]
    assert set(winners) == {2, 3}


def test_categories_are_those_that_smotenc_would_choose() -> None:
    rng = np.random.default_rng(6)
    rows = np.c_[rng.standard_normal((120, 3)), rng.integers(2, 6, (120, 2))]
    is_categorical = np.array([False] * 3 + [True] * 2)
    both, y = np.r_[rows, np.zeros((720, 5))], np.r_[np.ones(120), np.zeros(720)]
    theirs = np.concatenate([SMOTENC([3, 4], random_state=seed).fit_resample(both, y)[0][840:] for seed in range(20)])
    ours = np.concatenate([all_rows(planned(rows, 600, is_categorical, seed=seed)).columns.T for seed in range(20)])
    for column in (3, 4):
        counts = [np.unique(made[:, column], return_counts=True) for made in (ours, theirs)]
        assert counts[0][0].tolist() == counts[1][0].tolist()
        assert stats.chi2_contingency([counts[0][1], counts[1][1]]).pvalue > 0.001
    for column in range(3):
        assert stats.ks_2samp(ours[:, column], theirs[:, column]).pvalue > 0.01


def test_categories_are_codes_of_the_base_rows_neighbors() -> None:
    rng = np.random.default_rng(7)
    rows = np.c_[rng.standard_normal((60, 2)), rng.choice([0, 3, 8], 60)].astype(np.float32)
    plan = planned(rows, 500, [False, False, True])
    made = all_rows(plan)
    assert set(np.unique(made.columns[2])) <= {0, 3, 8}
    base, neighbor = rows[made.base_row_id, :2], rows[made.neighbor_row_id, :2]
    assert (np.minimum(base, neighbor) <= made.columns[:2].T).all()
    assert (np.maximum(base, neighbor) >= made.columns[:2].T).all()


def test_category_weight_is_the_squared_median_deviation() -> None:
    rows = np.random.default_rng(8).standard_normal((50, 4)) * [1, 2, 5, 1]
    is_categorical = np.array([False, False, False, True])
    expected = np.median(rows[:, :3].std(axis=0)) ** 2
    assert category_weight(rows.T, is_categorical) == pytest.approx(expected, rel=1e-12)
    assert category_weight(rows.T, np.ones(4, bool)) == 1
    assert category_weight(rows.T, np.zeros(4, bool)) == 0


@pytest.mark.parametrize("value", [0.0, 1e9, -3.25])
def test_equal_rows_make_more_of_the_same(value: float) -> None:
    rows = np.full((9, 4), value, np.float32)
    made = all_rows(planned(rows, 100, [False, False, False, True]))
    assert (made.columns == np.float32(value)).all()
    assert (made.base_row_id != made.neighbor_row_id).all()


def test_two_rows_are_drawn_towards_each_other() -> None:
    made = all_rows(planned(np.array([[0.0], [1.0]]), 10, k=1))
    assert (made.columns[0] == np.where(made.base_row_id == 0, made.gap, 1 - made.gap)).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 30), st.integers(1, 100), st.integers(0, 2**40))
def test_exactly_as_many_rows_as_asked(n_rows: int, n_to_make: int, seed: int) -> None:
    rows = np.random.default_rng(seed).standard_normal((n_rows, 2))
    made = all_rows(planned(rows, n_to_make, k=min(5, n_rows - 1), seed=seed))
    assert len(set(made.row_id)) == made.columns.shape[1] == n_to_make


def test_few_rows_get_fewer_neighbors_or_are_refused() -> None:
    refusing, reducing = (oversampler("smote", on_few_neighbors=policy) for policy in ("refuse", "reduce"))
    assert refusing.usable_neighbors(6, "1") == 5
    assert reducing.usable_neighbors(5, "1") == 4
    assert reducing.usable_neighbors(2, "1") == 1
    with pytest.raises(DataError, match=r"class 'fraud' has 5 train rows but oversample\.k_neighbors is 5; lower"):
        refusing.usable_neighbors(5, "fraud")


@pytest.mark.parametrize("policy", ["reduce", "refuse"])
def test_one_row_alone_is_refused(policy: str) -> None:
    with pytest.raises(DataError, match="class 'fraud' has 1 train row"):
        oversampler("smote", on_few_neighbors=policy).usable_neighbors(1, "fraud")


def test_a_number_has_no_way_to_none_and_none_comes_back_as_often() -> None:
    """A column of which 30 % do not count and stand at 0, beside its state and eight numbers."""
    rng = np.random.default_rng(0)
    counts = rng.random(2000) >= 0.3
    rows = np.c_[np.where(counts, rng.standard_normal(2000), 0), np.where(counts, 2, 4), rng.standard_normal((2000, 8))]
    features = Features(np.arange(10) == 1, groups=np.array([0, *range(9)]))
    columns = np.ascontiguousarray(rows.T)
    plan = plan_class(oversampler("smote"), np.arange(2000), columns, features, 6000, 5, random_state=0)
    made = all_rows(plan)
    base, neighbor = (rows[positions(plan, ids)] for ids in (made.base_row_id, made.neighbor_row_id))
    number, state = made.columns[:2]
    assert ((number == 0) == (state == 4)).all() and set(state) == {2, 4}
    of_base = state == base[:, 1]
    differ = base[:, 1] != neighbor[:, 1]
    assert (number[differ] == np.where(of_base, base[:, 0], neighbor[:, 0])[differ]).all()
    parts = [plan.rows(np.arange(start, 6000, 2)) for start in (1, 0)]
    assert all((part.columns == made.columns[:, start::2]).all() for part, start in zip(parts, (1, 0), strict=True))
    both = ~differ & (state == 2)
    assert (number[both] == interpolate(base[:, 0], neighbor[:, 0], made.gap)[both]).all()
    # The parents' shares, of which the neighbour's weighs as much as the gap.
    assert differ.sum() > 500 and abs((state == 4).mean() - 0.3) < 0.03
    assert abs((~of_base)[differ].mean() - made.gap[differ].mean()) < 0.05

"""How well one column tells a class by itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from raresmith.evaluation.single_column import FEWEST, area_of_categories, area_of_numbers

RANDOM = np.random.default_rng(0)
IS_POSITIVE = np.arange(400) % 4 == 0


@given(st.integers(0, 2**32 - 1), st.floats(-3, 3), st.integers(0, 2))
def test_the_area_of_numbers_is_scikit_learns_whichever_way_they_point(seed: int, lift: float, decimals: int) -> None:
    values = np.round(np.random.default_rng(seed).normal(size=400) + lift * IS_POSITIVE, decimals)
    area = roc_auc_score(IS_POSITIVE, values)
    assert area_of_numbers(values, IS_POSITIVE) == pytest.approx(max(area, 1 - area))


def test_categories_tell_by_the_share_of_the_class_in_each() -> None:
    codes = np.where(IS_POSITIVE, 3, np.arange(400) % 3)
    assert area_of_categories(codes, IS_POSITIVE) == 1.0
    mixed = RANDOM.integers(0, 5, 400)
    shares = np.array([IS_POSITIVE[mixed == code].mean() for code in range(5)])
    assert area_of_categories(mixed, IS_POSITIVE) == pytest.approx(roc_auc_score(IS_POSITIVE, shares[mixed]))


def test_too_few_rows_or_too_many_categories_say_nothing() -> None:
    few = np.arange(400) < FEWEST - 1
    assert area_of_numbers(few.astype(float), few) == area_of_numbers(few.astype(float), ~few) == 0.5
    assert area_of_categories(np.arange(400) // 15, IS_POSITIVE) == 0.5

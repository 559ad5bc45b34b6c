"""Cuts where they matter."""

import numpy as np

from raresmith.evaluation.cuts import place_cuts


def test_few_values_get_a_cut_between_any_two() -> None:
    assert place_cuts(np.array([3.0, 1.0, 1.0, 2.0]), np.array([7.0]), max_bins=8) == (1.5, 2.5, 5.0)


def test_a_constant_column_gets_no_cut() -> None:
    assert place_cuts(np.zeros(5), np.zeros(2), max_bins=8) == ()


def test_rare_values_of_positive_rows_get_cuts_of_their_own() -> None:
    values = np.concatenate([np.zeros(10_000), np.linspace(1, 2, 100)])
    cuts = place_cuts(values, np.linspace(1.4, 1.6, 30), max_bins=32)
    assert len(cuts) <= 31
    assert sum(1.4 < cut < 1.6 for cut in cuts) >= 8
    assert sum(1.0 < cut < 2.0 for cut in cuts) >= 20


def test_cuts_follow_the_quantiles_where_values_are_many() -> None:
    values = np.random.default_rng(0).normal(size=50_000)
    cuts = np.array(place_cuts(values, values[:100], max_bins=64))
    assert len(cuts) <= 63 and (np.diff(cuts) > 0).all()
    assert np.abs(np.searchsorted(np.sort(values), cuts) / 50_000 - 0.5).min() < 0.03

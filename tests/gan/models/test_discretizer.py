from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from raresmith.gan.models.discretizer import LEAST, MOST_TOKENS, Discretizer

Numbers = Sequence[float | np.floating[Any]] | NDArray[Any]

NO_CODES = np.zeros((0, 0), np.int64)


def of_numbers(x: Numbers, between: bool = True) -> Discretizer:
    x = np.asarray(x, np.float32)
    return Discretizer.fitted(x[:, None], np.zeros((len(x), 0), np.int64), [between], [])


def tokens_of(tokens: Discretizer, x: Numbers) -> NDArray[np.int64]:
    numbers = torch.from_numpy(np.asarray(x, np.float32))[:, None]
    found: NDArray[np.int64] = tokens.of(numbers, torch.zeros((len(numbers), 0), dtype=torch.int64))[:, 0].numpy()
    return found


def test_few_values_have_a_token_each_and_others_go_to_the_nearest() -> None:
    tokens = of_numbers([0, 0, 1, 5, 5, 5])
    assert tokens.sizes == [3]
    assert tokens.counts.tolist() == [2, 1, 3]
    assert tokens_of(tokens, [-9, 0, 0.4, 0.6, 2.9, 3.1, 99]).tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_neighbouring_floats_have_a_token_each() -> None:
    for low in (0, 1, -1, 1e-45):
        x = np.array([low, np.nextafter(np.float32(low), np.float32(9))], np.float32)
        assert of_numbers(x).counts.tolist() == [1, 1]
        assert tokens_of(of_numbers(x), x).tolist() == [0, 1]


def test_a_frequent_value_is_alone_among_bins_of_equal_counts() -> None:
    x = np.r_[np.linspace(-1, 1, 320), np.zeros(80)]
    tokens = of_numbers(x)
    zero = tokens_of(tokens, [0.0])[0]
    assert tokens.counts[zero] == 80
    assert tokens_of(tokens, [np.nextafter(np.float32(0), -1), np.nextafter(np.float32(0), 1)]).tolist() == [
        zero - 1,
        zero + 1,
    ]
    others = np.delete(tokens.counts.numpy(), zero)
    assert others.max() <= 11 and others.min() >= 1


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=400),
    st.lists(st.floats(-1e7, 1e7, width=32), max_size=20),
)
def test_every_token_has_rows_and_every_number_has_a_token(x: list[float], others: list[float]) -> None:
    tokens = of_numbers(x)
    found = tokens_of(tokens, x)
    assert np.array_equal(np.bincount(found, minlength=len(tokens)), tokens.counts.numpy())
    assert (tokens.counts > 0).all()
    if others:
        assert set(tokens_of(tokens, others)) <= set(range(len(tokens)))
    assert (np.diff(found[np.argsort(np.array(x, np.float32), kind="stable")]) >= 0).all()


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=400), st.booleans(), st.integers(0, 2**32))
def test_a_value_lies_in_its_token_and_is_real_where_none_is_between(x: list[float], between: bool, seed: int) -> None:
    tokens = of_numbers(x, between)
    token = torch.arange(len(tokens)).repeat(7)
    uniform = torch.rand(len(token), generator=torch.Generator().manual_seed(seed))
    drawn = tokens.values(token, uniform)
    of_token = tokens_of(tokens, x)
    for t in range(len(tokens)):
        inside = np.array(x, np.float32)[of_token == t]
        made = drawn[token == t].numpy()
        assert made.min() >= inside.min() and made.max() <= inside.max()
        assert between or set(made) <= set(inside)


def test_a_moved_number_stays_in_its_token_and_stays_where_it_is_where_none_is_between() -> None:
    x = np.random.default_rng(0).normal(size=500).astype(np.float32)
    numbers = torch.from_numpy(x)[:, None]
    uniform = torch.rand(500, 1, generator=torch.Generator().manual_seed(0))
    for between in (True, False):
        tokens = of_numbers(x, between)
        before = tokens.of(numbers, torch.zeros((500, 0), dtype=torch.int64))
        moved = tokens.moved(numbers, before, uniform)
        assert torch.equal(tokens.of(moved, torch.zeros((500, 0), dtype=torch.int64)), before)
        assert torch.equal(moved, numbers) != between
        assert (moved - numbers).abs().median() < 0.1


@pytest.mark.parametrize("n", [40, 900, 1024])
def test_a_number_moved_by_nothing_stays_where_it_is(n: int) -> None:
    x = np.random.default_rng(0).normal(size=n).astype(np.float32)
    tokens, numbers = of_numbers(x), torch.from_numpy(x)[:, None]
    before = tokens.of(numbers, torch.zeros((n, 0), dtype=torch.int64))
    assert torch.equal(tokens.moved(numbers, before, torch.full((n, 1), 0.5)), numbers)


def test_the_most_frequent_codes_have_a_token_and_the_others_share_one() -> None:
    codes = np.repeat(np.arange(300), np.arange(300, 0, -1))[:, None]
    tokens = Discretizer.fitted(np.zeros((len(codes), 0), np.float32), codes, [], [300])
    assert tokens.sizes == [256]
    found = tokens.of(torch.zeros((300, 0)), torch.arange(300)[:, None])[:, 0]
    assert found[:255].tolist() == list(range(255))
    assert set(found[255:].tolist()) == {255}
    drawn = tokens.values(torch.full((100,), 255), torch.linspace(0, 0.999, 100))
    assert set(drawn.tolist()) <= set(range(255, 300)) and len(set(drawn.tolist())) > 20


@pytest.mark.parametrize("columns", [400, 3000])
def test_wide_tables_have_fewer_tokens_a_column(columns: int) -> None:
    random = np.random.default_rng(0)
    often = np.repeat(np.arange(12.0), 15)  # values each frequent enough for a token
    numbers = np.stack([random.permutation([*often, *random.normal(size=120)]) for _ in range(columns // 2)], axis=1)
    codes = np.stack([random.integers(0, 200, 300) for _ in range(columns // 2)], axis=1)
    tokens = Discretizer.fitted(numbers.astype(np.float32), codes, [True] * len(numbers.T), [200] * len(codes.T))
    most = max(LEAST, MOST_TOKENS // columns)
    assert max(tokens.sizes) == most
    assert len(tokens) <= MOST_TOKENS
    assert min(tokens.sizes) >= most // 2
    assert tokens.counts.min() > 0
    found = tokens.of(torch.from_numpy(numbers.astype(np.float32)), torch.from_numpy(codes))
    assert torch.equal(found.flatten().bincount(minlength=len(tokens)), tokens.counts.long())
    assert tokens.are_sound()


def test_tokens_are_numbered_one_column_after_the_other() -> None:
    numbers = np.array([[0, 1], [1, 1], [2, 1]], np.float32)
    tokens = Discretizer.fitted(numbers, np.array([[0], [1], [1]]), [False, False], [3])
    assert (tokens.sizes, tokens.starts) == ([3, 1, 2], [0, 3, 4, 6])
    # Code 1 is the more frequent; code 2, which no row has, goes to the last.
    assert tokens.of(torch.from_numpy(numbers), torch.tensor([[0], [1], [2]])).tolist() == [
        [0, 3, 5],
        [1, 3, 4],
        [2, 3, 5],
    ]


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_handful_of_rows_is_enough(n: int) -> None:
    tokens = of_numbers(np.arange(n))
    assert tokens.ranks().tolist() == pytest.approx([(i + 0.5) / n for i in range(n)])


def test_tables_that_lead_beyond_a_column_are_not_sound() -> None:
    numbers = np.array([[0, 0], [1, 1], [1, 2]], np.float32)
    tokens = Discretizer.fitted(numbers, np.array([[0], [1], [1]]), [False, False], [3])
    assert tokens.sizes == [2, 3, 2] and tokens.are_sound()
    loaded = Discretizer(tokens.sizes, 2, [3])
    loaded.load_state_dict(tokens.state_dict())
    assert loaded.are_sound()
    loaded.edges = torch.zeros_like(tokens.edges)  # the first column has one edge, so that a row is at most token 1
    assert not loaded.are_sound()


@pytest.mark.parametrize("code", [-1.0, 3.0, float("nan")])
def test_a_token_that_stands_for_no_code_is_not_sound(code: float) -> None:
    tokens = Discretizer.fitted(np.zeros((3, 1), np.float32), np.array([[0], [1], [1]]), [False], [3])
    assert tokens.are_sound()
    tokens.places[-1, 0] = code
    assert not tokens.are_sound()

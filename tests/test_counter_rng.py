import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from raresmith.counter_rng import Stream, hash64, philox, standard_normal, uniform

row_ids = st.integers(-(2**63), 2**63 - 1)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_known_answers_of_random123(counter: str, key: str, expected: str) -> None:
    c0, c1, c2, c3 = (np.array([int(word, 16)], np.uint64) for word in counter.split())
    k0, k1 = (int(word, 16) for word in key.split())
    assert " ".join(f"{int(word[0]):08x}" for word in philox((c0, c1, c2, c3), (k0, k1))) == expected


@given(random_state=st.integers(0, 2**63 - 1), row_id=row_ids, copy=st.integers(0, 2**32 - 1))
def test_a_number_depends_on_its_row_and_not_on_the_rows_around_it(random_state: int, row_id: int, copy: int) -> None:
    alone = uniform(random_state, Stream.GAP, row_id, copy)
    crowd = uniform(random_state, Stream.GAP, np.array([7, row_id, -1]), np.array([copy, copy, 0]))
    assert 0 <= alone < 1
    assert crowd[1] == alone


def test_seed_stream_row_copy_and_slot_each_change_the_number() -> None:
    base = (3, Stream.GAP, 5, 1, 0)
    others = [
        (4, *base[1:]),
        (3 + 2**40, *base[1:]),
        (3, Stream.VOTE, *base[2:]),
        (3, Stream.GAP, 5 + 2**40, 1, 0),
        (3, Stream.GAP, 5, 2, 0),
        (3, Stream.GAP, 5, 1, 1),
    ]
    assert len({float(uniform(*arguments)) for arguments in [base, *others]}) == 7


def test_numbers_stay_the_same_over_versions() -> None:
    assert hash64(1, Stream.ROW_ID, [0, -1], [0, 2**31]).tolist() == [6792504501031008822, -6882666277933369953]


def test_uniform_numbers_are_uniform_and_those_of_neighbouring_rows_are_independent() -> None:
    numbers = uniform(0, Stream.GAP, np.arange(100_000)[:, None], slot=np.arange(2))
    assert numbers.shape == (100_000, 2)
    assert stats.kstest(numbers.ravel(), "uniform").pvalue > 0.01
    assert abs(np.corrcoef(numbers[:, 0], numbers[:, 1])[0, 1]) < 0.01
    assert abs(np.corrcoef(numbers[1:, 0], numbers[:-1, 0])[0, 1]) < 0.01


def test_normal_numbers_are_normal() -> None:
    numbers = standard_normal(0, Stream.NOISE, np.arange(20_000)[:, None], slot=np.arange(5))
    assert np.isfinite(numbers).all()
    assert stats.kstest(numbers.ravel(), "norm").pvalue > 0.01
    assert abs(np.corrcoef(numbers.T) - np.eye(5)).max() < 0.03


def test_a_million_hashes_do_not_collide_and_fill_64_bits() -> None:
    hashes = hash64(0, Stream.ROW_ID, np.arange(1_000_000))
    assert hashes.dtype == np.int64
    assert len(np.unique(hashes)) == 1_000_000
    assert abs((hashes < 0).mean() - 0.5) < 0.005

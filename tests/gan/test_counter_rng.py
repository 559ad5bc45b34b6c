import torch
from scipy.stats import kstest

from raresmith.gan import counter_rng
from raresmith.gan.counter_rng import Stream

KEY = counter_rng.key(7, Stream.LATENT, 3)


def test_a_row_gets_the_same_numbers_wherever_it_stands() -> None:
    rows = torch.tensor([5, -9, 2**62, 11])
    shuffled = torch.tensor([3, 0, 2, 1])
    for function in (counter_rng.uniform, counter_rng.normal, counter_rng.gumbel):
        assert torch.equal(function(KEY, rows, 5)[shuffled], function(KEY, rows[shuffled], 5))


def test_seed_stream_and_counter_all_change_the_numbers() -> None:
    rows = torch.arange(10)
    keys = {
        KEY,
        counter_rng.key(8, Stream.LATENT, 3),
        counter_rng.key(7, Stream.CATEGORY, 3),
        counter_rng.key(7, Stream.LATENT, 4),
    }
    assert len(keys) == 4
    assert len({tuple(counter_rng.bits(key, rows).tolist()) for key in keys}) == 4


def test_bits_are_those_of_splitmix64() -> None:
    # The first outputs of the reference generator for the state 0 and 1234567.
    assert counter_rng.bits(0, torch.tensor([1])).item() % 2**64 == 0xE220A8397B1DCDAF
    assert counter_rng.bits(1234567, torch.tensor([1])).item() % 2**64 == 6457827717110365317


def test_numbers_have_the_distribution_that_they_are_named_after() -> None:
    rows = torch.arange(100_000)
    uniform = counter_rng.uniform(KEY, rows, 2)
    assert uniform.min() > 0 and uniform.max() < 1
    assert torch.allclose(uniform.mean(0), torch.tensor(0.5), atol=0.01)
    assert abs(torch.corrcoef(uniform.T)[0, 1]) < 0.01
    normal = counter_rng.normal(KEY, rows, 3)
    assert torch.allclose(normal.mean(0), torch.zeros(3), atol=0.015)
    assert torch.allclose(normal.T.cov(), torch.eye(3), atol=0.02)
    # Euler's constant is the mean of a Gumbel number.
    assert abs(counter_rng.gumbel(KEY, rows, 1).mean() - 0.5772) < 0.015


def test_the_largest_uniform_number_is_below_one() -> None:
    # All 24 bits of the second number of this row are ones.
    key, row = counter_rng.key(0, Stream.CATEGORY), torch.tensor([11_433_139])
    assert counter_rng.uniform(key, row, 2)[0, 1] == 1 - 2.0**-24
    assert counter_rng.gumbel(key, row, 2).isfinite().all()


def test_fine_normal_numbers_are_normal_and_no_two_keys_share_them() -> None:
    rows = torch.arange(200_000)
    numbers = [counter_rng.fine_normal(counter_rng.key(7, Stream.NOISE, step), rows) for step in (0, 1)]
    for drawn in numbers:
        assert drawn.dtype == torch.float64 and kstest(drawn.numpy(), "norm").pvalue > 1e-4
    assert abs(torch.corrcoef(torch.stack(numbers))[0, 1]) < 0.01


def test_below_draws_each_number_alike() -> None:
    counts = torch.bincount(counter_rng.below(KEY, torch.arange(70_000), 7), minlength=7)
    assert len(counts) == 7
    assert (counts - 10_000).abs().max() < 400

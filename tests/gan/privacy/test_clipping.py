import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from raresmith.gan.models.networks import Architecture, Discriminator
from raresmith.gan.privacy.clipping import clipped_sum


def discriminator(architecture: Architecture = "small", d: int = 4) -> Discriminator:
    torch.manual_seed(3)
    return Discriminator(architecture, d)


def gradient_of(network: Discriminator, row: torch.Tensor, is_real: torch.Tensor) -> torch.Tensor:
    loss = functional.binary_cross_entropy_with_logits(network(row[None]), is_real[None])
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(network.parameters()))])


@pytest.mark.parametrize("longest", [1e-3, 2.0, 1e6])
@pytest.mark.parametrize("architecture", ["small", "smotified"])
def test_the_sum_is_that_of_the_cut_gradients_of_single_rows(architecture: Architecture, longest: float) -> None:
    network = discriminator(architecture)
    rows, is_real = torch.randn(20, 4) * torch.logspace(-1, 1, 20)[:, None], (torch.arange(20) < 9).float()
    counts = torch.arange(20) % 3 != 0
    expected = torch.zeros(sum(p.numel() for p in network.parameters()))
    cut = set()
    for row, target in zip(rows[counts], is_real[counts], strict=True):
        gradient = gradient_of(network, row, target)
        cut.add(bool(gradient.norm() > longest))
        expected += gradient * min(1.0, longest / float(gradient.norm()))
    assert cut == {1e-3: {True}, 2.0: {False, True}, 1e6: {False}}[longest]
    summed, losses = clipped_sum(network, rows, is_real, counts, longest)
    torch.testing.assert_close(summed, expected, rtol=1e-4, atol=1e-5 * longest if longest < 1 else 1e-5)
    torch.testing.assert_close(
        losses, functional.binary_cross_entropy_with_logits(network(rows), is_real, reduction="none")
    )
    assert all(parameter.grad is None for parameter in network.parameters())


numbers = st.floats(width=32)


@settings(max_examples=200, deadline=None)
@given(row=st.lists(numbers, min_size=4, max_size=4), is_real=st.booleans(), longest=st.floats(1e-3, 1e3))
def test_no_row_whatever_its_numbers_moves_the_sum_by_more_than_the_longest(
    row: list[float], is_real: bool, longest: float
) -> None:
    network = discriminator()
    rows = torch.cat([torch.randn(7, 4), torch.tensor([row])])
    targets = torch.cat([torch.ones(7), torch.tensor([float(is_real)])])
    there, gone = (clipped_sum(network, rows, targets, torch.arange(8) < n, longest)[0].double() for n in (8, 7))
    assert float((there - gone).norm()) <= longest * (1 + 1e-4)


def test_a_row_that_is_not_finite_adds_nothing() -> None:
    network = discriminator()
    rows = torch.randn(3, 4)
    rows[1, 2] = float("nan")
    both, targets = torch.tensor([True, True, True]), torch.ones(3)
    summed, _ = clipped_sum(network, rows, targets, both, 1.0)
    expected, _ = clipped_sum(network, rows[[0, 2]], targets[:2], both[:2], 1.0)
    np.testing.assert_allclose(summed, expected, rtol=1e-5, atol=1e-6)

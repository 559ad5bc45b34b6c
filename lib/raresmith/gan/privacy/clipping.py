"""The sum over rows of gradients that are cut to a length each, as differentially private training needs it."""

import torch
from torch import nn
from torch.nn import functional

from raresmith.gan.models.networks import Discriminator


def clipped_sum(
    discriminator: Discriminator, rows: torch.Tensor, is_real: torch.Tensor, counts: torch.Tensor, longest: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum of the gradients of the rows that count, none longer than `longest`, and the loss of each row.

    The gradient of a row in a linear layer is the outer product of what enters the layer and the slope of the loss at
    what leaves it: lengths and sum need no single row's gradient (Goodfellow 2015, arXiv:1510.01799).

    Parameters
    ----------
    rows
        Inputs of the discriminator, (n, d + classes).
    is_real
        What its logits shall say, (n,), 0 or 1.
    counts
        Which rows do, (n,).

    Returns
    -------
    tuple of tensors
        The gradient of all parameters in their order, flat, and the cross entropies (n,). A row whose gradient is not
        finite adds nothing, so that it cannot show either.
    """
    entering, leaving, values = [], [], rows
    for layer in discriminator.layers:
        if isinstance(layer, nn.Linear):
            entering.append(values.detach())
            leaving.append(layer(values))
            values = leaving[-1]
        else:
            values = layer(values)
    losses = functional.binary_cross_entropy_with_logits(values.squeeze(1), is_real, reduction="none")
    slopes = torch.autograd.grad(losses.sum(), leaving)

    # The 1 is what enters the bias.
    squares = [s.square().sum(1) * (e.square().sum(1) + 1) for e, s in zip(entering, slopes, strict=True)]
    lengths = torch.stack(squares).sum(0).sqrt()
    adds = (counts & lengths.isfinite())[:, None]
    shares = (longest / lengths.clamp(min=longest))[:, None]
    parts = []
    for e, s in zip(entering, slopes, strict=True):
        # Not by a factor of 0, which would leave what is not finite as it is.
        e, s = torch.where(adds, e, 0), torch.where(adds, s * shares, 0)
        parts += [(s.T @ e).flatten(), s.sum(0)]
    return torch.cat(parts), losses.detach()

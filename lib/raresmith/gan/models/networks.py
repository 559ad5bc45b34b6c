"""The generator and the discriminator of each preset."""

from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import nn

Architecture = Literal["small", "smotified"]

# Keras's values, by which the published small net was trained.
_MOMENTUM, _EPS = 0.01, 1e-3


class Generator(nn.Module):  # type: ignore[misc]
    """Rows (n, d_latent + classes) → raw rows (n, d).

    small: hidden layers 32, 64, 128, each ReLU then BatchNorm, He initialisation, linear out. smotified: hidden layers
    128, 256, 512, 1024, each BatchNorm then ReLU (Sharma et al. 2022, IEEE Access 10:30655; its sigmoid, which clips,
    is linear here).
    """

    def __init__(self, architecture: Architecture, d_in: int, d_out: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        hidden = {"small": (32, 64, 128), "smotified": (128, 256, 512, 1024)}[architecture]
        for size in hidden:
            norm, relu = GlobalBatchNorm(size, eps=_EPS, momentum=_MOMENTUM), nn.ReLU()
            layers += [nn.Linear(d_in, size), *((relu, norm) if architecture == "small" else (norm, relu))]
            d_in = size
        self.layers = nn.Sequential(*layers, nn.Linear(d_in, d_out))
        self.apply(_he)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.layers(rows).float()


class Discriminator(nn.Module):  # type: ignore[misc]
    """Rows (n, d + classes) → logits (n,) that they are real.

    small: hidden layers 128, 64, 32, 32, 16 with ReLU; smotified: 512, 256, 128 with LeakyReLU 0.2.
    """

    def __init__(self, architecture: Architecture, d_in: int, *, output_bias: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        hidden = {"small": (128, 64, 32, 32, 16), "smotified": (512, 256, 128)}[architecture]
        for size in hidden:
            layers += [nn.Linear(d_in, size), nn.ReLU() if architecture == "small" else nn.LeakyReLU(0.2)]
            d_in = size
        self.layers = nn.Sequential(*layers, nn.Linear(d_in, 1, bias=output_bias))
        self.apply(_he)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.layers(rows).squeeze(1).float()


def _he(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class GlobalBatchNorm(nn.BatchNorm1d):  # type: ignore[misc]
    """BatchNorm over the rows of all ranks, so that N ranks train as one would on the same batch.

    torch's SyncBatchNorm does this on CUDA alone; this one works with gloo too, and with unequal shares.
    """

    def sum_over_ranks(self, part: torch.Tensor) -> torch.Tensor:
        """`part`, summed over all ranks."""
        total: torch.Tensor = _SumOverRanks.apply(part)
        return total

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if not (self.training and dist.is_initialized() and dist.get_world_size() > 1):
            return super().forward(rows)
        rows = rows.float()
        of_rank = rows.mean(0)
        squares = (rows - of_rank).square().sum(0)
        # Each rank's mean and squared deviations from it, put together after Chan, Golub, LeVeque 1983 (The American
        # Statistician 37:242): E[x²] - E[x]² would cancel.
        parts = rows.new_zeros(dist.get_world_size(), 3, self.num_features)
        parts[dist.get_rank()] = torch.stack([of_rank, squares, torch.full_like(of_rank, len(rows))])
        means, squares, counts = self.sum_over_ranks(parts).unbind(1)
        n = counts.detach().sum(0)
        mean = (means * counts).sum(0) / n
        variance = (squares + counts * (means - mean).square()).sum(0) / n
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * n / (n - 1), self.momentum)
            self.num_batches_tracked += 1
        return (rows - mean) * torch.rsqrt(variance + self.eps) * self.weight + self.bias


class _SumOverRanks(torch.autograd.Function):  # type: ignore[misc]
    """Sum of a tensor over all ranks; each rank's loss depends on every rank's part, so gradients are summed too."""

    @staticmethod
    def forward(ctx: Any, part: torch.Tensor) -> torch.Tensor:
        total = part.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        gradient = gradient.clone()
        dist.all_reduce(gradient)
        return gradient

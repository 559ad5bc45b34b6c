"""Adam whose state is there from the start, so that a checkpoint can be copied into it."""

from collections.abc import Iterable
from typing import Any

import torch
from torch.optim import AdamW


def adam(
    parameters: Iterable[torch.nn.Parameter] | list[dict[str, Any]], learning_rate: float, betas: tuple[float, float]
) -> AdamW:
    """Fused Adam (Kingma, Ba 2015, arXiv:1412.6980), of parameters or of groups of them; where a group names a weight
    decay, it is the decoupled one (Loshchilov, Hutter 2019, arXiv:1711.05101)."""
    optimizer = AdamW(parameters, lr=learning_rate, betas=betas, weight_decay=0.0, fused=True)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            # What Adam makes in its first step.
            optimizer.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
    return optimizer


def adam_state(name: str, optimizer: AdamW) -> dict[str, torch.Tensor]:
    """The tensors of Adam's state by name, as they are and not copied."""
    return {
        f"adam.{name}.{i}.{key}": tensor
        for i, state in enumerate(optimizer.state.values())
        for key, tensor in state.items()
    }

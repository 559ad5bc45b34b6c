"""Adam whose state is there from the start, so that a checkpoint can be copied into it."""

import torch
from torch import nn
from torch.optim import Adam


def adam(network: nn.Module, learning_rate: float, betas: tuple[float, float]) -> Adam:
    """Fused Adam (Kingma, Ba 2015, arXiv:1412.6980) of all parameters of a network."""
    optimizer = Adam(network.parameters(), lr=learning_rate, betas=betas, fused=True)
    for parameter in network.parameters():
        # What Adam makes in its first step.
        optimizer.state[parameter] = {
            "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    return optimizer


def adam_state(name: str, optimizer: Adam) -> dict[str, torch.Tensor]:
    """The tensors of Adam's state by name, as they are and not copied."""
    return {
        f"adam.{name}.{i}.{key}": tensor
        for i, state in enumerate(optimizer.state.values())
        for key, tensor in state.items()
    }

"""What differentially private training promises."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Guarantee:
    """(ε, δ)-differential privacy (Dwork et al. 2006) of a training for each real row, and how it came about."""

    epsilon: float
    delta: float
    noise_multiplier: float
    """Standard deviation of the noise, as a multiple of `max_grad_norm`."""
    max_grad_norm: float
    sample_rate: float
    """A real row's chance to be in the batch of a step; of several classes the largest."""
    steps: int

    def __str__(self) -> str:
        return f"(ε, δ) = ({self.epsilon:.3g}, {self.delta:.3g})"

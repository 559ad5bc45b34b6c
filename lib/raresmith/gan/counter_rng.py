"""Random numbers on the device as a pure function of (seed, stream, counters): no state to save, none to share.

Whoever asks for the number of step 7, slot 3 gets the same one: any rank, any device, before or after a restart.
"""

import math
from enum import IntEnum

import torch

_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


class Stream(IntEnum):
    """What the numbers are for; streams do not overlap."""

    REAL = 1
    SYNTHETIC = 2
    LATENT = 3
    CATEGORY = 4
    WEIGHTS = 5
    MIX = 6
    HIDE = 7
    COLUMNS = 8
    WITHIN = 9
    MOVE = 10
    DROPOUT = 11
    SAMPLE = 12
    CLASS = 13
    AGAIN = 14
    NOISE = 15


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def key(seed: int, stream: Stream, counter: int = 0) -> int:
    """A 64-bit key of the three, as a signed number."""
    value = 0
    for part in (seed, stream, counter):
        value = (value ^ (part & _MASK)) + _GOLDEN & _MASK
        for shift, multiplier in zip((30, 27), _MULTIPLIERS, strict=True):
            value = (value ^ value >> shift) * multiplier & _MASK
        value ^= value >> 31
    return _signed(value)


def bits(key: int | torch.Tensor, counters: torch.Tensor) -> torch.Tensor:
    """64 random bits for each of the int64 `counters` (splitmix64: Steele, Lea, Flood 2014, OOPSLA).

    Of several keys, of shape (keys, 1), for each counter and key.
    """
    value = counters * _signed(_GOLDEN) + key
    for shift, multiplier in zip((30, 27), _MULTIPLIERS, strict=True):
        value = (value ^ _shifted(value, shift)) * _signed(multiplier)
    return value ^ _shifted(value, 31)


def uniform(key: int, rows: torch.Tensor, width: int) -> torch.Tensor:
    """Numbers in (0, 1), shape (len(rows), width), float32: the same for the same row wherever it stands."""
    columns = torch.arange(width, device=rows.device)
    # Two rounds: the first spreads the rows, so that neighbouring row numbers do not share columns.
    value = bits(key, bits(key, rows)[:, None] + columns)
    # The largest of the 2^24 would round to 1, of which `gumbel` is infinite.
    return ((_shifted(value, 40).to(torch.float32) + 0.5) * 2.0**-24).clamp_(max=1 - 2.0**-24)


def normal(key: int, rows: torch.Tensor, width: int) -> torch.Tensor:
    """Standard normal numbers, shape (len(rows), width), float32 (Box and Muller 1958)."""
    pairs = (width + 1) // 2
    radius, angle = uniform(key, rows, 2 * pairs).split(pairs, dim=1)
    radius, angle = torch.sqrt(-2 * torch.log(radius)), 2 * math.pi * angle
    return torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)[:, :width]


def fine_normal(key: int, counters: torch.Tensor) -> torch.Tensor:
    """A standard normal number for each counter, float64: its tails end at 8.6, where those of `normal` end at 5.9."""
    radius, angle = ((_shifted(bits(key, bits(key, counters) + i), 11).double() + 1) * 2.0**-53 for i in (0, 1))
    return torch.sqrt(-2 * torch.log(radius)) * torch.cos(2 * math.pi * angle)


def gumbel(key: int, rows: torch.Tensor, width: int) -> torch.Tensor:
    """Standard Gumbel numbers, shape (len(rows), width), float32."""
    return -torch.log(-torch.log(uniform(key, rows, width)))


def below(key: int | torch.Tensor, counters: torch.Tensor, limit: int) -> torch.Tensor:
    """Whole numbers in [0, limit), one for each counter, as `bits`; limit at most 2^31."""
    return (_shifted(bits(key, counters), 33) * limit) >> 31


def _shifted(value: torch.Tensor, places: int) -> torch.Tensor:
    """Logical shift to the right: torch's shift of signed numbers keeps the sign."""
    return (value >> places) & (2 ** (64 - places) - 1)

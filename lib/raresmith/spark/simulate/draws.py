"""Random numbers as expressions: a hash of the seed, the name of the draw and the keys it belongs to."""

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from pyspark.sql import Column
from pyspark.sql import functions as F

PICKS = 200
"""Slots of the table that `pick` looks up, so its probabilities are whole numbers of 1 / PICKS."""


def draw(random_state: int, name: str, *keys: Column) -> Column:
    """64 random bits for this draw and these keys, as a long."""
    # The name becomes a number once here; hashing text in every row would cost more than the draw.
    stream = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
    return F.xxhash64(F.lit(random_state).cast("long"), F.lit(stream).cast("long"), *keys)


def uniform(bits: Column) -> Column:
    """A number in [0, 1) with 53 random bits."""
    return F.shiftrightunsigned(bits, 11).cast("double") * F.lit(2.0**-53)


def normals(bits: Column) -> tuple[Column, Column]:
    """Two independent standard normal numbers (Box and Muller 1958, Ann. Math. Stat. 29:610-611)."""
    radius = F.sqrt(-2.0 * F.ln((F.shiftrightunsigned(bits, 32).cast("double") + 0.5) * F.lit(2.0**-32)))
    angle = bits.bitwiseAND(F.lit(0xFFFFFFFF)).cast("double") * F.lit(2 * math.pi * 2.0**-32)
    return radius * F.cos(angle), radius * F.sin(angle)


def whole(uniform: Column, count: Column | int) -> Column:
    """A whole number in [0, count) from a uniform one."""
    return F.floor(uniform * count).cast("int")


def constants(values: Sequence[int] | Sequence[float] | Sequence[str]) -> Column:
    """A constant array; text without quotes in it."""
    # As one SQL text: building it from literals takes a call to the JVM for each value.
    return F.expr("array(" + ", ".join(f"{v!r}D" if isinstance(v, float) else repr(v) for v in values) + ")")


def pick(uniform: Column, choices: dict[Any, float]) -> Column:
    """One of the keys of `choices` with its weight as probability, to 1 / PICKS."""
    # A table of equal slots is one look-up; a chain of WHENs would make code too long for the JVM to compile.
    ends = np.cumsum(list(choices.values())) / sum(choices.values())
    keys = list(choices)
    slots = [keys[i] for i in np.searchsorted(ends, (np.arange(PICKS) + 0.5) / PICKS)]
    return F.get(constants(slots), whole(uniform, PICKS))


def permute(rank: Column, count: int, random_state: int) -> Column:
    """A number in [0, count) for each rank in [0, count), one to one, so that ids do not follow the ranks."""
    factor = next(f for f in range(int(count * 0.618) + random_state % 1000 + 1, 2**40) if math.gcd(f, count) == 1)
    return F.pmod(rank.cast("long") * (factor % count) + random_state % count, F.lit(count)).cast("int")

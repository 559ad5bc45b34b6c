"""Random numbers that are a pure function of (seed, stream, row, copy): no generator with a state to be shared.

Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", SC'11) turns a counter into four
random words. The counter here is the row itself, so a number does not depend on which task asks for it, in which
order, or how often.
"""

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Words = NDArray[np.uint64]
"""32-bit words kept in 64 bits, so that products do not overflow."""

_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10


class Stream(IntEnum):
    """What a number is for; numbers of different streams are independent."""

    EXTRA_COPY = 1
    NEIGHBOR = 2
    GAP = 3
    VOTE = 4
    ROW_ID = 5
    NOISE = 6
    CROSS = 7
    FOLLOW = 8
    SAMPLE = 9
    CENTER = 10
    PART = 11
    HALF = 12
    SAMPLER = 13
    THIN = 14
    STATE = 15


def philox(counter: tuple[Words, Words, Words, Words], key: tuple[int, int]) -> tuple[Words, Words, Words, Words]:
    """Four random 32-bit words for each counter of four 32-bit words, under a key of two 32-bit words."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0, p1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (p1 >> _SHIFT) ^ c1 ^ np.uint64(k0),
            p1 & _LOW,
            (p0 >> _SHIFT) ^ c3 ^ np.uint64(k1),
            p0 & _LOW,
        )
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


def _words(value: ArrayLike) -> Words:
    return np.asarray(value, dtype=np.int64).astype(np.uint64)  # negative numbers wrap, all bits stay


def _pair(
    random_state: int, stream: int, row_id: ArrayLike, copy: ArrayLike, slot: ArrayLike
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Two random 64-bit words for each (row_id, copy, slot), which are broadcast against each other."""
    zero = np.uint64(0)
    # The seed alone would leave no room in the 64-bit key, so the stream's key is a random word under the seed.
    seed = random_state & 0xFFFFFFFF, random_state >> 32 & 0xFFFFFFFF
    k0, k1, _, _ = philox((np.uint64(stream), zero, zero, zero), seed)  # type: ignore[arg-type]
    row = _words(row_id)
    w0, w1, w2, w3 = philox((row & _LOW, row >> _SHIFT, _words(copy) & _LOW, _words(slot) & _LOW), (int(k0), int(k1)))
    return np.asarray(w0 | w1 << _SHIFT), np.asarray(w2 | w3 << _SHIFT)


def _unit(word: NDArray[np.uint64]) -> NDArray[np.float64]:
    return (word >> np.uint64(11)).astype(np.float64) * 2.0**-53


def uniform(
    random_state: int, stream: int, row_id: ArrayLike, copy: ArrayLike = 0, slot: ArrayLike = 0
) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) with 53 bits, one for each (row_id, copy, slot).

    Parameters
    ----------
    random_state
        Seed in [0, 2^64).
    stream
        A `Stream`, so that two uses of a row do not see the same number.
    row_id, copy, slot
        Whole numbers of 64, 32 and 32 bits; arrays are broadcast: `row_id[:, None]` with `slot=np.arange(d)` gives
        d numbers a row.
    """
    return _unit(_pair(random_state, stream, row_id, copy, slot)[0])


def standard_normal(
    random_state: int, stream: int, row_id: ArrayLike, copy: ArrayLike = 0, slot: ArrayLike = 0
) -> NDArray[np.float64]:
    """Standard normal numbers (Box and Muller 1958), one for each (row_id, copy, slot), broadcast as in `uniform`.

    Processors round log and cos differently in the last bit; everything else in this module is the same everywhere.
    """
    first, second = _pair(random_state, stream, row_id, copy, slot)
    radius = np.sqrt(-2.0 * np.log1p(-_unit(first)))  # 1 - u lies in (0, 1]
    return np.asarray(radius * np.cos(2.0 * np.pi * _unit(second)), dtype=np.float64)


def hash64(random_state: int, stream: int, row_id: ArrayLike, copy: ArrayLike = 0, slot: ArrayLike = 0) -> NDArray[Any]:
    """A random int64 for each (row_id, copy, slot), to choose rows by and to name made rows.

    For one (copy, slot) different rows may collide as random 64-bit numbers do: among n of them with a chance of
    n² / 2^65, 3e-8 for a million and 3e-4 for a hundred million.
    """
    return _pair(random_state, stream, row_id, copy, slot)[0].astype(np.int64)

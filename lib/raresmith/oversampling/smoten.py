"""How far two categories are from each other by what they say of the class, for SMOTE-N.

The value difference metric (Stanfill and Waltz 1986, CACM 29:1213-1228) with two classes, this one and all others: the
difference of two categories is the sum over both classes of |P(class | one) - P(class | other)|, and that of two rows
the root of the sum of its squares. The sum is twice the difference in P(this class | category), so each category has a
place on a line.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def category_places(
    of_class: Sequence[NDArray[np.int64]], of_all: Sequence[NDArray[np.int64]]
) -> tuple[NDArray[np.float64], ...]:
    """The place of each code of each column; the distance of two is their value difference.

    Parameters
    ----------
    of_class, of_all : for each column, the class's rows and all rows with each code from 0 on
        A code that no row has is at 0.
    """
    return tuple(2 * own / np.maximum(every, 1) for own, every in zip(of_class, of_all, strict=True))

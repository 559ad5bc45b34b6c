"""ADASYN (He et al. 2008, IJCNN:1322-1328): the more rows of other classes are near a row, the more are made of it."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raresmith.errors import Key, NothingToMake
from raresmith.oversampling.base import Copies, FoundBases
from raresmith.oversampling.smote import SMOTE


class ADASYN(SMOTE):
    """SMOTE with more rows of a base the more of its nearest rows are of other classes.

    References
    ----------
    He et al. 2008, IJCNN:1322-1328.
    """

    name = "adasyn"
    title = "ADASYN"
    explained = "with ADASYN rows"
    needs_other_classes = True

    def may_be_base(self, n_others: NDArray[Any]) -> NDArray[np.bool_]:
        """Rows that are not among their own."""
        return np.asarray(n_others > 0)

    def choose_bases(self, found: FoundBases) -> Copies:
        """In proportion to the rows of other classes around."""
        class_name, method = found.class_name, Key("oversample.method")
        if found.n_others == 0:
            raise NothingToMake(
                "no row of class {class_name!r} has a row of another class among its nearest, so ADASYN has nowhere to "
                'make rows; set {method} = "smote" or a larger {k_neighbors}',
                class_name=class_name,
                method=method,
                k_neighbors=Key("oversample.k_neighbors"),
            )
        copies = partial(adasyn_copies, n_to_make=found.n_to_make, total=found.n_others)
        if copies(np.array([found.most_others]))[0] == 0:
            raise NothingToMake(
                "ADASYN shares {n_to_make} rows of class {class_name!r} out among {n_bases} bases, and all shares "
                'round to 0; ask for more rows, or set {method} = "smote"',
                n_to_make=found.n_to_make,
                class_name=class_name,
                n_bases=found.n_bases,
                method=method,
            )
        return copies


def adasyn_copies(n_others: NDArray[Any], n_to_make: int, total: int) -> NDArray[np.int64]:
    """Rows to make of each base, in proportion to its nearest rows of other classes, of which there are `total`.

    Each number is rounded, so that their sum may differ from `n_to_make`, as in imbalanced-learn.
    """
    whole, rest = np.divmod(n_others.astype(np.int64) * n_to_make, total)
    # Half to even, as NumPy rounds.
    return np.asarray(whole + ((2 * rest > total) | ((2 * rest == total) & (whole % 2 == 1))))

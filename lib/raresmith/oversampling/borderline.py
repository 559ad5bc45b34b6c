"""Borderline-SMOTE (Han et al. 2005, ICIC, LNCS 3644:878-887): rows are made where the class is in danger.

In danger is a row with at least half of its nearest rows in other classes, but not all.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from raresmith.errors import Key, NothingToMake
from raresmith.oversampling.base import Copies, FoundBases
from raresmith.oversampling.smote import SMOTE


class BorderlineSMOTE1(SMOTE):
    """SMOTE from the rows in danger, towards rows of the class.

    References
    ----------
    Han et al. 2005, ICIC, LNCS 3644:878-887.
    """

    name = "borderline-1"
    title = "Borderline-SMOTE"
    explained = "with SMOTE rows of rows in danger"
    stage = "BorderlineSMOTE"
    needs_other_classes = True

    @dataclass(frozen=True, kw_only=True)
    class Parameters(SMOTE.Parameters):
        """What danger is."""

        m_neighbors: Annotated[int, Ge(1)] = 10
        """Nearest rows of the whole table by which borderline knows that a row is in danger; at least 1."""

    def m_nearest(self, k_neighbors: int) -> int:
        """The nearest rows that tell whether a row is in danger."""
        return int(self.parameters.m_neighbors)

    def may_be_base(self, n_others: NDArray[Any]) -> NDArray[np.bool_]:
        """The rows in danger."""
        m = self.parameters.m_neighbors
        return np.asarray((2 * n_others >= m) & (n_others < m))

    def choose_bases(self, found: FoundBases) -> Copies | None:
        """All rows in danger, equally."""
        if found.n_bases == 0:
            raise NothingToMake(
                "no row of class {class_name!r} has at least half, but not all, of its {m} nearest rows in other "
                'classes, so borderline has none to start from; set {method} = "smote" or another {m_neighbors}',
                class_name=found.class_name,
                m=self.parameters.m_neighbors,
                method=Key("oversample.method"),
                m_neighbors=Key("oversample.m_neighbors"),
            )
        return None


class BorderlineSMOTE2(BorderlineSMOTE1):
    """SMOTE from the rows in danger, towards rows of any class, but less than half the way to another one.

    References
    ----------
    Han et al. 2005, ICIC, LNCS 3644:878-887.
    """

    name = "borderline-2"
    stage = "BorderlineSMOTE"
    explained = "with SMOTE rows of rows in danger, towards any class"
    towards_other_classes = True

"""SMOTE-N (Chawla et al. 2002, JAIR 16:321-357), for tables of categories only.

Categories are as far apart as what they say of the class: by the value difference metric (Stanfill and Waltz 1986, CACM
29:1213-1228) with two classes, this one and all others, the difference of two categories is the sum over both classes
of |P(class | one) - P(class | other)|, and that of two rows the root of the sum of its squares. The sum is twice the
difference in P(this class | category), so each category has a place on a line.
"""

import copy
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from raresmith.counter_rng import Stream
from raresmith.errors import DataError, Key
from raresmith.neighbors.distance import Distance
from raresmith.oversampling.base import ClassSample, Counts, Features, NeighborOversampler, Parents
from raresmith.oversampling.smote import vote


class SMOTEN(NeighborOversampler):
    """The most frequent categories of a row and its neighbours, by what they say of the class.

    References
    ----------
    Chawla et al. 2002, JAIR 16:321-357.
    """

    name = "smoten"
    title = "SMOTE-N"
    explained = "with the SMOTE-N rows"
    needs_category_counts = True
    _places: tuple[NDArray[np.float64], ...] = ()

    def check(self, features: Features | None = None) -> None:
        """Refuse a column of numbers."""
        if features is None or features.is_categorical.all():
            return
        raise DataError(
            "{method} smoten takes categories only, but feature {number!r} is a number; set "
            '{method} = "smote", which takes both, or name the column in {categorical}',
            method=Key("oversample.method"),
            number=features.names[int(np.argmin(features.is_categorical))],
            categorical=Key("prepare.categorical"),
        )

    def fit(self, rows: ClassSample) -> Self:
        """Give each category its place."""
        assert rows.category_counts is not None
        fitted = copy.copy(self)
        fitted._places = category_places(*rows.category_counts)
        return fitted

    def distance(self, columns: NDArray[Any], is_categorical: NDArray[np.bool_]) -> Distance:
        """The value difference."""
        return replace(super().distance(columns, is_categorical), places=self._places)

    def draw(self, parents: Parents) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """The most frequent category of the base and all neighbours; the gap is 0, for none of them leads."""
        voters = np.c_[parents.bases, parents.near]
        made = [
            vote(column[voters], parents.at, parents.uniform(Stream.VOTE, f))
            for f, column in enumerate(parents.columns)
        ]
        return np.stack(made), np.zeros(len(parents.base))


def category_places(of_class: Counts, of_all: Counts) -> tuple[NDArray[np.float64], ...]:
    """The place of each code of each column; the distance of two is their value difference.

    Parameters
    ----------
    of_class, of_all : for each column, the class's rows and all rows with each code from 0 on
        A code that no row has is at 0.
    """
    return tuple(2 * own / np.maximum(every, 1) for own, every in zip(of_class, of_all, strict=True))

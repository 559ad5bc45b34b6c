"""How good made rows are, by real rows that no model has seen: those of the validation split.

The samples are small, so that a judgement costs a second or two of one core.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from deltalake import DeltaTable
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from raresmith.gan.data.tables import read_columns

FEWEST = 20
"""Pairs of a made row and a validation row of its class below which nothing is judged."""
MOST_MADE, MOST_OTHERS = 1000, 4000
"""Rows of the made classes together, and of all other classes, that are taken from each split."""
_BINS, _FEWEST_BINS = 2**16, 16
"""Of all columns: of wide tables it is the histograms of bins that boosting takes its time for."""
_OTHERS = -1
_FOLDS = 5
_TOLD_APART, _CHANCE = 0.1, 3
"""How far above 1/2, and how many standard errors of chance above it, the AUC of real train rows lies where something
tells them from validation rows that is no matter of being real."""


class Labelled(NamedTuple):
    """Feature columns (n, d), categories as codes, and the class of each row: a label, or _OTHERS."""

    features: NDArray[np.float64]
    labels: NDArray[np.int64]


class Figures(NamedTuple):
    """What is found of made rows."""

    auc: float
    """Area under the ROC curve of a boosted classifier, cross-validated, between made rows and as many validation rows
    of each class, by `Judge.compared`; at 0.5 they cannot be told apart."""
    average_precision: float
    """On validation rows, of a forest trained on train rows and the made ones: each made class against all other rows,
    mean over the classes."""
    distance: float
    """Median distance from a made row to the closest sampled train row of the made classes: Euclidean, numbers
    divided by their standard deviation, 1 for each category that differs."""


@dataclass(frozen=True, eq=False)
class Judge:
    """Samples of the two splits, of the same columns; `is_category` tells which of these are codes."""

    train: Labelled
    validation: Labelled
    is_category: NDArray[np.bool_]

    def __call__(self, made: Labelled) -> Figures:
        return Figures(self._auc(made, self.compared), self._average_precision(made), self.distance(made.features))

    @cached_property
    def compared(self) -> NDArray[np.bool_]:
        """The columns that tell made rows from validation rows: all, but for those that tell real train rows as well.

        Under a split by entity or time the columns of the entity or the moment do, and would tell any row that is made
        of train rows, whatever it is like. A forest says which do most; as few of these are left out as it takes for
        train rows not to be told, and none where half of them are not enough.
        """
        every = np.ones(len(self.is_category), bool)
        if not self._are_told_apart(every):
            return every
        order = np.argsort(-self._importances(), kind="stable")

        def without(n: int) -> NDArray[np.bool_]:
            return np.isin(np.arange(len(every)), order[:n], invert=True)

        too_few, enough = 0, 1
        while self._are_told_apart(without(enough)):
            too_few, enough = enough, 2 * enough
            if enough > len(every) // 2:
                return every
        while enough - too_few > 1:
            middle = (too_few + enough) // 2
            if self._are_told_apart(without(middle)):
                too_few = middle
            else:
                enough = middle
        return without(enough)

    @cached_property
    def ceiling(self) -> float:
        """`Figures.auc` of real train rows: what rows that are all real get."""
        return self._auc(self._known, self.compared)

    @cached_property
    def _known(self) -> Labelled:
        """The train rows of the made classes."""
        known = self.train.labels != _OTHERS
        return Labelled(self.train.features[known], self.train.labels[known])

    def _are_told_apart(self, columns: NDArray[np.bool_]) -> bool:
        """Whether train rows are told from validation rows by the columns."""
        n = sum(
            min((part.labels == label).sum() for part in (self._known, self.validation))
            for label in np.unique(self._known.labels)
        )
        error = ((2 * n + 1) / (12 * n**2)) ** 0.5  # of two samples of n that are alike (Mann, Whitney 1947)
        return self._auc(self._known, columns, folds=2) > 0.5 + max(_TOLD_APART, _CHANCE * float(error))

    def _importances(self) -> NDArray[np.float64]:
        """Of each column, for telling train from validation rows of the made classes."""
        held_out = self.validation.features[self.validation.labels != _OTHERS]
        rows = np.concatenate([self._known.features, held_out])
        is_train = np.arange(len(rows)) < len(self._known.features)
        forest = ExtraTreesClassifier(100, min_samples_leaf=3, class_weight="balanced", random_state=0)
        return np.asarray(forest.fit(rows, is_train).feature_importances_)

    def distance(self, rows: NDArray[np.float64]) -> float:
        """`Figures.distance` of any rows."""
        known = self._known.features
        numbers = ~self.is_category
        scale = known[:, numbers].std(axis=0)
        scale[scale == 0] = 1
        squared = cdist(rows[:, numbers] / scale, known[:, numbers] / scale, "sqeuclidean")
        for column in np.flatnonzero(self.is_category):
            squared += rows[:, column, None] != known[:, column]
        return float(np.median(np.sqrt(squared.min(axis=1))))

    @property
    def held_out_distance(self) -> float:
        """`distance` of the validation rows of the made classes."""
        return self.distance(self.validation.features[self.validation.labels != _OTHERS])

    def _auc(self, made: Labelled, columns: NDArray[np.bool_], folds: int = _FOLDS) -> float:
        real_rows, made_rows = [], []
        for label in np.unique(made.labels):
            real = self.validation.features[self.validation.labels == label][:, columns]
            fake = made.features[made.labels == label][:, columns]
            n = min(len(real), len(fake))
            # With the class beside it: a row can be like those of another class.
            real_rows.append(np.c_[real[:n], np.full(n, label)])
            made_rows.append(np.c_[fake[:n], np.full(n, label)])
        rows = np.concatenate([*real_rows, *made_rows])
        is_made = np.arange(len(rows)) >= len(rows) // 2
        boosted = HistGradientBoostingClassifier(
            max_iter=50,
            min_samples_leaf=5,
            max_bins=max(_FEWEST_BINS, min(255, _BINS // rows.shape[1])),
            random_state=0,
        )
        parts = StratifiedKFold(folds, shuffle=True, random_state=0)
        chances = cross_val_predict(boosted, rows, is_made, cv=parts, method="predict_proba")[:, 1]
        return float(roc_auc_score(is_made, chances))

    def _average_precision(self, made: Labelled) -> float:
        forest = RandomForestClassifier(50, random_state=0)
        forest.fit(
            np.concatenate([self.train.features, made.features]), np.concatenate([self.train.labels, made.labels])
        )
        chances = forest.predict_proba(self.validation.features)
        of_classes = [
            average_precision_score(self.validation.labels == label, chances[:, column])
            for column, label in enumerate(forest.classes_)
            if label != _OTHERS and (self.validation.labels == label).any()
        ]
        return float(np.mean(of_classes))


def read_judge(
    features: DeltaTable, names: list[str], is_category: NDArray[np.bool_], made: Mapping[int, int]
) -> Judge | None:
    """A judge by `features` of as many rows of each class as `made` says; None where there are fewer than FEWEST of
    these, or of its validation split, to compare."""
    classes = tuple(made)
    validation = _read_split(features, "validation", names, classes)
    if sum(min(n, int((validation.labels == label).sum())) for label, n in made.items()) < FEWEST:
        return None
    return Judge(_read_split(features, "train", names, classes), validation, is_category)


def _read_split(features: DeltaTable, split: str, names: list[str], classes: tuple[int, ...]) -> Labelled:
    made = ", ".join(map(str, classes))
    groups = [(label, f"label = {label}", MOST_MADE // len(classes)) for label in classes]
    parts = []
    for label, condition, most in [*groups, (_OTHERS, f"label NOT IN ({made})", MOST_OTHERS)]:
        columns = read_columns(features, names, f"split = '{split}' AND {condition}", most)
        rows = np.column_stack([columns[name].astype(np.float64) for name in names])
        parts.append(Labelled(rows, np.full(len(rows), label)))
    return Labelled(np.concatenate([p.features for p in parts]), np.concatenate([p.labels for p in parts]))

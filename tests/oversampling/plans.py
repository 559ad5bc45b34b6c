"""Plans of any method, for tests."""

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raresmith.oversampling.base import Counts, Features, Oversampler
from raresmith.oversampling.other_classes import InMemory, among_other_classes
from raresmith.oversampling.plan import ClassPlan, plan_class
from raresmith.oversampling.registry import OVERSAMPLERS


def oversampler(method: str, **parameters: Any) -> Oversampler:
    """The oversampler of this name, with those of the parameters that it has."""
    kind = OVERSAMPLERS[method]
    known = {field.name for field in fields(kind.Parameters)}
    return kind(kind.Parameters(**{name: value for name, value in parameters.items() if name in known}))


def smote(
    row_ids: NDArray[np.int64],
    columns: NDArray[Any],
    is_categorical: ArrayLike,
    n_to_make: int,
    k: int,
    seed: int,
    method: str = "smote",
    groups: NDArray[np.intp] | None = None,
    counts: tuple[Counts, Counts] | None = None,
    m: int = 10,
    asked: int | None = None,
) -> ClassPlan:
    """The plan of a class by itself, with k neighbours, of as many as were `asked` for."""
    features = Features(np.asarray(is_categorical), tuple(f"f{i}" for i in range(len(columns))), groups)
    return plan_class(
        oversampler(method, k_neighbors=asked or k, m_neighbors=m),
        row_ids,
        columns,
        features,
        n_to_make,
        k,
        seed,
        category_counts=counts,
        class_name="fraud",
    )


def surrounded(
    row_ids: NDArray[np.int64],
    columns: NDArray[Any],
    is_rare: NDArray[np.bool_],
    is_categorical: NDArray[np.bool_],
    n_to_make: int,
    k: int,
    seed: int,
    method: str,
    m: int = 10,
    n_threads: int = 1,
    asked: int | None = None,
) -> ClassPlan:
    """The plan of a class among the others, which are all rows but the rare ones."""
    plan = smote(row_ids[is_rare], columns[:, is_rare], is_categorical, n_to_make, k, seed, method, m=m, asked=asked)
    others = InMemory(row_ids[~is_rare], columns[:, ~is_rare], n_threads)
    return among_other_classes(plan, n_to_make, others, n_threads)


def counts_of(codes: NDArray[np.int64], is_rare: NDArray[np.bool_]) -> tuple[Counts, Counts]:
    """Rows of the class and of the table with each code of each column of `codes`, (n_features, n_rows)."""
    sizes = codes.max(axis=1) + 1
    of_class, of_all = (
        [np.bincount(column[chosen], minlength=n) for column, n in zip(codes, sizes, strict=True)]
        for chosen in (is_rare, np.full(codes.shape[1], True))
    )
    return of_class, of_all

"""Plans of any method, for tests."""

from dataclasses import fields

import numpy as np

from raresmith.oversampling.base import Features
from raresmith.oversampling.other_classes import InMemory, among_other_classes
from raresmith.oversampling.plan import plan_class
from raresmith.oversampling.registry import OVERSAMPLERS


def oversampler(method, **parameters):
    """The oversampler of this name, with those of the parameters that it has."""
    kind = OVERSAMPLERS[method]
    known = {field.name for field in fields(kind.Parameters)}
    return kind(kind.Parameters(**{name: value for name, value in parameters.items() if name in known}))


def smote(
    row_ids, columns, is_categorical, n_to_make, k, seed, method="smote", groups=None, counts=None, m=10, asked=None
):
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


def surrounded(row_ids, columns, is_rare, is_categorical, n_to_make, k, seed, method, m=10, n_threads=1, asked=None):
    """The plan of a class among the others, which are all rows but the rare ones."""
    plan = smote(row_ids[is_rare], columns[:, is_rare], is_categorical, n_to_make, k, seed, method, m=m, asked=asked)
    others = InMemory(row_ids[~is_rare], columns[:, ~is_rare], n_threads)
    return among_other_classes(plan, n_to_make, others, n_threads)


def counts_of(codes, is_rare):
    """Rows of the class and of the table with each code of each column of `codes`, (n_features, n_rows)."""
    sizes = codes.max(axis=1) + 1
    return tuple(
        [np.bincount(column[chosen], minlength=n) for column, n in zip(codes, sizes, strict=True)]
        for chosen in (is_rare, np.full(codes.shape[1], True))
    )

"""What is odd in some train rows of the table `features`, and in what else the raw table has of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raresmith.checks import rows, values
from raresmith.checks.seen import SeenColumn, seen
from raresmith.checks.warning import KINDS, DataWarning
from raresmith.encoding.decode import RawUnits
from raresmith.encoding.encoder import UNSEEN, CategoricalFeature, Encoder, Feature
from raresmith.evaluation.intervals import LEAST
from raresmith.evaluation.single_column import LEAK, area_of_categories, area_of_numbers
from raresmith.tables.split_counts import SplitCounts

Found = Iterator[tuple[str, dict[str, Any]]]
"""Kinds of `KINDS`, and the fields of what was found."""


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What the raw table has of train rows beside what the features say."""

    columns: Sequence[SeenColumn] = ()
    """Columns that are no features, and those whose texts are too many to be known by their codes."""
    days: Sequence[date | None] = ()
    """Of each row, or none where there is no timestamp."""
    is_positive: NDArray[np.bool_] | None = None
    """Of each row."""


def too_many(encoder: Encoder) -> list[str]:
    """The raw columns whose texts are more than their features have codes for."""
    return [f.source for f in encoder.features if f.kind == "categorical" and not f.made and UNSEEN in f.seen]


def data_warnings(
    found: pa.Table,
    beside: Beside,
    encoder: Encoder,
    *,
    n_rows: int,
    split: SplitCounts | None,
    repeated: int,
) -> list[DataWarning]:
    """All that is odd, in the order of `KINDS`.

    Parameters
    ----------
    found
        Train rows of the table `features`, which has `n_rows`.
    split
        How many rows of each class each split has, where they were counted.
    repeated
        Rows of the table that repeat another in every column and were kept.
    """
    label = encoder.label
    is_positive = found["label"].to_numpy() == label.classes.index(label.positive)
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for kind, fields in (
        *_leaks(found, encoder, is_positive),
        *_classes(split, label.positive),
        *_days(beside),
        *_columns(found, beside, encoder, is_positive, n_rows),
        *((("repeated_rows", {"rows": repeated}),) if repeated else ()),
    ):
        by_kind.setdefault(kind, []).append(fields)
    return [DataWarning(kind=kind, found=by_kind[kind], positive=label.positive) for kind in KINDS if kind in by_kind]


def _leaks(found: pa.Table, encoder: Encoder, is_positive: NDArray[np.bool_]) -> Found:
    """Features that by themselves tell the class that is looked for, as only what was noted afterwards does."""
    for feature in encoder.features:
        x = found[feature.name].to_numpy()
        if feature.kind == "categorical":
            area = area_of_categories(x.astype(np.int64), is_positive)
        else:
            area = area_of_numbers(x.astype(np.float64), is_positive)
        if area > LEAK:
            yield "leak", {"column": feature.name, "area": area}


def _classes(split: SplitCounts | None, positive: str) -> Found:
    if split is None:
        return
    totals: dict[str, int] = {}
    for of in split.rows.values():
        for name, count in of.items():
            totals[name] = totals.get(name, 0) + count
    for name, other in rows.slips(totals):
        yield "class_slip", {"name": name, "rows": totals[name], "other": other}
    for name, count in rows.too_few(split.rows, positive):
        yield "too_few", {"split": name, "rows": count, "least": LEAST}


def _days(beside: Beside) -> Found:
    if beside.is_positive is None or not beside.days:
        return
    if span := rows.days_without(beside.days, beside.is_positive):
        first, last, expected = span
        yield "days_without", {"first": first.isoformat(), "last": last.isoformat(), "expected": expected}


def _columns(found: pa.Table, beside: Beside, encoder: Encoder, is_positive: NDArray[np.bool_], n_rows: int) -> Found:
    """What single columns look like; those that are no features count where they are a person's."""
    sources = {feature.source: feature for feature in encoder.features if not feature.made}
    constant, coarse = {*_constant(encoder)}, {*too_many(encoder)}
    drawn = {column.name: column for column in beside.columns}
    for column in _decoded(found, encoder):
        column = drawn.pop(column.name, column)
        if column.name in constant:
            yield "constant", {"column": column.name}
            continue
        yield from _feature(column, sources[column.name], n_rows)
        # The rows drawn from the raw table are not in the order of the others.
        if column.name not in coarse and (shares := rows.nulls_by_class(column, is_positive)):
            positives, others = shares
            if abs(positives - others) <= 2 * LEAK - 1:  # more is a leak, and told as one
                yield "nulls", {"column": column.name, "positives": positives, "others": others}
    for column in drawn.values():
        if looks_like := values.personal(column):
            yield "personal", {"column": column.name, "looks_like": looks_like}


def _feature(column: SeenColumn, feature: Feature, n_rows: int) -> Found:
    name = {"column": column.name}
    if looks_like := values.personal(column):
        yield "personal_feature", {**name, "looks_like": looks_like}
    elif values.is_row_number(column, n_rows) or (column.kind == "text" and values.is_unique(column)):
        yield "unique", name
    elif feature.kind == "categorical" and column.kind != "text":
        return  # numbers that are names, as the configuration says
    elif feature.kind == "numeric" and feature.is_day_number:
        yield "dates_as_numbers", name
    elif marked := values.no_value(column):
        yield "no_value", {**name, "value": marked[0], "share": marked[1]}
    elif numbers := values.numbers_as_text(column):
        share, other = numbers
        yield "numbers_as_text", {**name, "share": share, "other": f", others such as {other!r}" if other else ""}
    elif codes := values.codes_in_two_ways(column):
        yield "codes_in_two_ways", {**name, "code": codes[0], "plain": codes[1]}


def _decoded(found: pa.Table, encoder: Encoder) -> Iterator[SeenColumn]:
    """The raw columns that are features, as they were."""
    raw = RawUnits(encoder, ())
    features = {name: found[name].to_numpy() for name in encoder.names}
    batch = raw.rows(features, found["label"].to_numpy())
    for feature in raw.features:
        yield seen(feature.source, feature.type, batch.column(feature.source))


def _constant(encoder: Encoder) -> Iterator[str]:
    """The raw columns that have one value, or none, in all train rows."""
    by_name = {feature.name: feature for feature in encoder.features}
    for feature in encoder.features:
        if feature.kind == "numeric":
            indicator = by_name.get(feature.state)
            is_null_or_not = isinstance(indicator, CategoricalFeature) and len(indicator.seen) > 1
            is_one = feature.low == feature.high and not is_null_or_not
        else:
            is_one = len(feature.seen) == 1
        if is_one and not feature.made:
            yield feature.source

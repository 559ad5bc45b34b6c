"""What each column of a table is for, guessed from its name and some of its values, with the reason."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from raresmith.checks.seen import SeenColumn
from raresmith.checks.values import ENOUGH, are_dates, is_called_key, is_row_number, is_unique, no_value, personal
from raresmith.evaluation.single_column import LEAK, area_of_categories, area_of_numbers
from raresmith.starting.seen import SeenTable

Use = Literal["label", "timestamp", "key", "entity", "ignored", "category", "number", "moment"]

MOST_CATEGORIES = 1000

_CALLED_TIME = re.compile(r"time|date|stamp|(^|_)(ts|at|day|datum|zeit)($|_)", re.IGNORECASE)
_CALLED_ENTITY = re.compile(
    r"(^|_)(customer|client|card|account|user|member|patient|policy|merchant|terminal|device|kunde|konto|karte)"
    r"s?(_?(id|no|nr|num|number|key|name))?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Role:
    """What a column is taken for."""

    name: str
    use: Use
    why: str
    """The reason, or what there is to know of it."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a person said; "" and () where nothing."""

    label: str
    timestamp: str = ""
    entity: str = ""
    key: tuple[str, ...] = ()


def roles(table: SeenTable, told: Told) -> list[Role]:
    """The roles of all columns, in table order. At most one column has the time, one the entity, and one is a key where
    none was told."""
    given: dict[str, Use] = {told.timestamp: "timestamp", told.entity: "entity"}
    given |= {**dict.fromkeys(told.key, "key"), told.label: "label"}
    found: dict[str, Role] = {}
    for column in table.columns:
        if use := given.get(column.name):
            found[column.name] = Role(name=column.name, use=use, why=_label(table) if use == "label" else "as you said")
    others = [column for column in table.columns if column.name not in found]
    if not told.key and (key := _key(others)):
        found[key.name] = Role(name=key.name, use="key", why="another value in every row, and called so")
    if not told.timestamp and (called := _time(table, others)):
        days = len(table.days[called.name])
        found[called.name] = Role(name=called.name, use="timestamp", why=f"moments of {days:,} days")
    if not told.entity and (entity := next((c for c in others if c.name not in found and _is_entity(c)), None)):
        distinct = len(set(entity.present))
        why = f"called so, and its values come again: {distinct:,} in {len(entity.values):,} rows"
        found[entity.name] = Role(name=entity.name, use="entity", why=why)
    time = next((c for c in table.columns if c.name in found and found[c.name].use == "timestamp"), None)
    return [found.get(column.name) or _feature(column, table, time) for column in table.columns]


def _label(table: SeenTable) -> str:
    total = max(1, sum(table.classes.values()))
    shares = ", ".join(f"{text} {count / total:.3%}" for text, count in sorted(table.classes.items()))
    return f"{shares}; {table.positive} is the rare one"


def _key(columns: Sequence[SeenColumn]) -> SeenColumn | None:
    unique = [c for c in columns if c.kind in ("whole", "text") and is_unique(c) and is_called_key(c)]
    return unique[0] if unique else None


def _time(table: SeenTable, columns: Sequence[SeenColumn]) -> SeenColumn | None:
    moments = [c for c in columns if c.kind == "moment" and len(table.days.get(c.name, ())) > 1]
    # The first that is called so; of several the one that tells moments apart best.
    return max(moments, key=lambda c: (_CALLED_TIME.search(c.name) is not None, len(set(c.values))), default=None)


def _is_entity(column: SeenColumn) -> bool:
    if column.kind not in ("whole", "text") or not _CALLED_ENTITY.search(column.name):
        return False
    present = column.present
    return len(present) >= ENOUGH and 10 <= len(set(present)) < len(present)


def _feature(column: SeenColumn, table: SeenTable, time: SeenColumn | None) -> Role:
    present = column.present
    counts = Counter(present)

    def role(use: Use, why: str) -> Role:
        return Role(name=column.name, use=use, why=why)

    if column.kind == "other":
        return role("ignored", f"of type {column.type}, which can be no feature")
    if len(counts) < 2:
        return role("ignored", "the same value in every row" if counts else "no value in any row looked at")
    if looks_like := personal(column):
        return role("ignored", f"look like {looks_like}")
    if column.kind == "text" and (is_unique(column) or len(counts) > max(MOST_CATEGORIES, len(present) // 2)):
        return role("ignored", f"an identifier or free text: {len(counts):,} texts in {len(present):,} rows")
    if is_row_number(column, table.rows):
        return role("ignored", "a number of the row, another in every one")
    if column.kind == "whole" and len(counts) > 20 and (is_called_key(column) or _is_entity(column)):
        return role("ignored", "called like an identifier: its numbers name something and have no order")
    if time is not None and column.kind in ("whole", "number", "moment") and _goes_with(column, time):
        return role("ignored", f"rises with {time.name}, so that no train row has the values of later rows")
    if (area := alone(column, table)) > LEAK:
        return role("ignored", f"gives the class away by itself (area under the curve {area:.3f}): leak?")
    if column.kind in ("text", "boolean"):
        return role("category", f"{len(counts):,} values, most often {counts.most_common(1)[0][0]!r}")
    if column.kind == "moment":
        return role("moment", f"moments of {len(table.days.get(column.name, ())):,} days")
    return role("number", _about_numbers(column, present, counts))


def _goes_with(column: SeenColumn, time: SeenColumn) -> bool:
    """Whether rows in the order of the time are in that of the column too, or nearly."""
    both = [(t, x) for t, x in zip(time.values, column.values, strict=True) if t is not None and x is not None]
    if len(both) < ENOUGH:
        return False
    ranks = np.array(both, dtype=float).argsort(axis=0, kind="stable").argsort(axis=0)
    return float(np.asarray(np.corrcoef(ranks, rowvar=False))[0, 1]) > 0.999


def _about_numbers(column: SeenColumn, present: Sequence[Any], counts: Counter[Any]) -> str:
    about = [f"{min(present)} to {max(present)}"]
    missing = len(column.values) - len(present)
    if missing:
        about.append(f"{missing / len(column.values):.1%} without a value")
    value, most = counts.most_common(1)[0]
    if most > 0.2 * len(present) and len(counts) > 10:
        about.append(f"{most / len(present):.0%} are {value}")
    if stands_for_none := no_value(column):
        about.append(f"{stands_for_none[0]} seems to stand for no value; better null")
    if are_dates(column):
        about.append("dates written as numbers, taken for dates")
    return ", ".join(about)


def alone(column: SeenColumn, table: SeenTable) -> float:
    """How well the column tells the rare class by itself, whether by its values or by lacking one: the area under the
    ROC curve, at least 0.5; 0.5 too where the rows looked at are too few to say."""
    rows = [(value, label == table.positive) for value, label in zip(column.values, table.labels, strict=True) if label]
    is_positive = np.array([positive for _, positive in rows], dtype=bool)
    area = area_of_numbers(np.array([value is None for value, _ in rows], dtype=float), is_positive)
    if column.kind in ("text", "boolean"):
        places = {value: place for place, value in enumerate(dict.fromkeys(value for value, _ in rows))}
        return max(
            area, area_of_categories(np.array([places[value] for value, _ in rows], dtype=np.int64), is_positive)
        )
    known = np.array([value is not None for value, _ in rows], dtype=bool)
    numbers = np.array([float(value) for value, _ in rows if value is not None])
    return max(area, area_of_numbers(numbers, is_positive[known]))

"""What each column of a table is for, guessed from its name and some of its values, with the reason."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from raresmith.evaluation.single_column import LEAK, area_of_categories, area_of_numbers
from raresmith.starting.seen import SeenColumn, SeenTable

Use = Literal["label", "timestamp", "key", "entity", "ignored", "category", "number", "moment"]

ENOUGH = 50
"""Rows from which on it says something that a column has another value in each."""
MOST_CATEGORIES = 1000

# Of names without underscores the capital tells where the last word begins: loanId, but not paid.
_CALLED_KEY = re.compile(r"(?i:(^|_)(id|key|uuid|guid|nr|no|number|index)$|^(id|uuid|guid)_)|[a-z](Id|ID|Nr|No|Key)$")
_CALLED_TIME = re.compile(r"time|date|stamp|(^|_)(ts|at|day|datum|zeit)($|_)", re.IGNORECASE)
_CALLED_ENTITY = re.compile(
    r"(^|_)(customer|client|card|account|user|member|patient|policy|merchant|terminal|device|kunde|konto|karte)"
    r"s?(_?(id|no|nr|num|number|key|name))?$",
    re.IGNORECASE,
)
_OF_PERSONS = {
    "mail addresses": re.compile(r"[^@\s]+@[^@\s]+\.[a-zA-Z]{2,}"),
    "bank accounts (IBAN)": re.compile(r"[A-Z]{2}\d{2}( ?[A-Z0-9]{4}){2,7}( ?[A-Z0-9]{1,3})?"),
    "telephone numbers": re.compile(r"(\+|00)\d[\d /()-]{6,}\d"),
    "card or account numbers": re.compile(r"\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{0,7}"),
}
"""By what the values of a column are the look of each of them."""


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
        distinct = len(set(_present(entity)))
        why = f"called so, and its values come again: {distinct:,} in {len(entity.values):,} rows"
        found[entity.name] = Role(name=entity.name, use="entity", why=why)
    time = next((c for c in table.columns if c.name in found and found[c.name].use == "timestamp"), None)
    return [found.get(column.name) or _feature(column, table, time) for column in table.columns]


def _label(table: SeenTable) -> str:
    total = max(1, sum(table.classes.values()))
    shares = ", ".join(f"{text} {count / total:.3%}" for text, count in sorted(table.classes.items()))
    return f"{shares}; {table.positive} is the rare one"


def _present(column: SeenColumn) -> list[Any]:
    return [value for value in column.values if value is not None]


def _is_unique(column: SeenColumn) -> bool:
    return len(column.values) >= ENOUGH and len(set(_present(column))) == len(column.values)


def _key(columns: Sequence[SeenColumn]) -> SeenColumn | None:
    unique = [c for c in columns if c.kind in ("whole", "text") and _is_unique(c) and _CALLED_KEY.search(c.name)]
    return unique[0] if unique else None


def _time(table: SeenTable, columns: Sequence[SeenColumn]) -> SeenColumn | None:
    moments = [c for c in columns if c.kind == "moment" and len(table.days.get(c.name, ())) > 1]
    # The first that is called so; of several the one that tells moments apart best.
    return max(moments, key=lambda c: (_CALLED_TIME.search(c.name) is not None, len(set(c.values))), default=None)


def _is_entity(column: SeenColumn) -> bool:
    if column.kind not in ("whole", "text") or not _CALLED_ENTITY.search(column.name):
        return False
    present = _present(column)
    return len(present) >= ENOUGH and 10 <= len(set(present)) < len(present)


def _feature(column: SeenColumn, table: SeenTable, time: SeenColumn | None) -> Role:
    present = _present(column)
    counts = Counter(present)

    def role(use: Use, why: str) -> Role:
        return Role(name=column.name, use=use, why=why)

    if column.kind == "other":
        return role("ignored", f"of type {column.type}, which can be no feature")
    if len(counts) < 2:
        return role("ignored", "the same value in every row" if counts else "no value in any row looked at")
    if column.kind == "text":
        for what, look in _OF_PERSONS.items():
            if sum(look.fullmatch(text.strip()) is not None for text in present) > 0.9 * len(present):
                return role("ignored", f"look like {what}")
        if _is_unique(column) or len(counts) > max(MOST_CATEGORIES, len(present) // 2):
            return role("ignored", f"an identifier or free text: {len(counts):,} texts in {len(present):,} rows")
    if column.kind == "whole" and _is_unique(column):
        if all(b - a == 1 for a, b in pairwise(sorted(present))) or _CALLED_KEY.search(column.name):
            return role("ignored", "a number of the row, another in every one")
        if len({len(str(abs(value))) for value in present}) == 1 and len(str(present[0])) >= 10:
            return role("ignored", "look like card or account numbers")
    if column.kind == "whole" and len(counts) > 20 and (_CALLED_KEY.search(column.name) or _is_entity(column)):
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
    if column.kind == "whole" and all(_is_day(value) for value in present):
        about.append("dates written as numbers, of which the distance means little; a date column would be better")
    return ", ".join(about)


def _is_day(value: int) -> bool:
    if not 19000101 <= value <= 21001231:
        return False
    try:
        datetime.strptime(str(value), "%Y%m%d")
    except ValueError:
        return False
    return True


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

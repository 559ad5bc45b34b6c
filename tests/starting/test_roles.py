"""What columns are taken for, by their names and values."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from raresmith.checks.seen import Kind, SeenColumn
from raresmith.starting.roles import Role, Told, alone, roles
from raresmith.starting.seen import SeenTable

N = 400
LABELS = ["1" if i % 20 == 0 else "0" for i in range(N)]
RANDOM = np.random.default_rng(0)
DAYS = {date(2025, 1, 1) + timedelta(days=d): {"0": 9, "1": 1} for d in range(40)}


def column(name: str, values: Sequence[Any], kind: Kind = "whole", type: str = "bigint") -> SeenColumn:
    return SeenColumn(name=name, kind=kind, type=type, values=values)


def table(*columns: SeenColumn, days: tuple[str, ...] = ()) -> SeenTable:
    label = column("y", [int(text) for text in LABELS])
    classes = {text: LABELS.count(text) for text in ("0", "1")}
    return SeenTable(
        rows=N, classes=classes, positive="1", labels=LABELS, columns=[*columns, label], days=dict.fromkeys(days, DAYS)
    )


def role_of(one: SeenColumn, *others: SeenColumn, days: tuple[str, ...] = (), **told: Any) -> Role:
    return roles(table(one, *others, days=days), Told(label="y", **told))[0]


SHUFFLED = [int(i) for i in RANDOM.permutation(N) * 7 + 3]


@pytest.mark.parametrize(
    ("one", "use", "why"),
    [
        (column("transaction_id", SHUFFLED), "key", "another value in every row"),
        (column("loanId", SHUFFLED), "key", "another value in every row"),
        (column("amount", SHUFFLED), "number", "3 to 2796"),
        (column("paid", SHUFFLED), "number", "3 to 2796"),
        (column("row", list(range(N))), "ignored", "a number of the row"),
        (column("reference", [10**14 + x for x in SHUFFLED]), "ignored", "card or account numbers"),
        (column("customer_id", [i % 60 for i in range(N)]), "entity", "60 in 400 rows"),
        (column("branch_no", [i % 60 for i in range(N)]), "ignored", "called like an identifier"),
        (column("stars_no", [i % 5 for i in range(N)]), "number", "0 to 4"),
        (column("age", [None if i % 4 == 0 else i % 40 for i in range(N)]), "number", "25.0% without a value"),
        (column("limit", [0 if i % 2 else i for i in range(N)]), "number", "50% are 0"),
        (column("on", [20250100 + i % 28 + 1 for i in range(N)]), "number", "dates written as numbers"),
        (column("score", [float(text == "1") + i / N for i, text in enumerate(LABELS)], "number"), "ignored", "leak?"),
        (column("closed", [None if text == "0" else 3.0 for text in LABELS], "number"), "ignored", "the same value"),
        (column("closed", [None if text == "0" else i for i, text in enumerate(LABELS)]), "ignored", "leak?"),
        (column("state", ["bad" if text == "1" else "ok" for text in LABELS], "text"), "ignored", "leak?"),
        (column("kind", ["abc"[i % 3] for i in range(N)], "text"), "category", "3 values, most often 'a'"),
        (column("note", [f"text {i}" for i in SHUFFLED], "text"), "ignored", "identifier or free text"),
        (column("mail", [f"{i % 90}@example.org" for i in range(N)], "text"), "ignored", "mail addresses"),
        (column("to", [f"DE{i % 90:02} 3704 0044 0532 0130 {i % 90:02}" for i in range(N)], "text"), "ignored", "IBAN"),
        (column("mobile", [f"+49 170 {1000000 + i % 90}" for i in range(N)], "text"), "ignored", "telephone"),
        (column("pan", [f"4000 1234 5678 {i % 90:04}" for i in range(N)], "text"), "ignored", "card or account"),
        (column("source", ["x"] * N, "text"), "ignored", "the same value in every row"),
        (column("empty", [None] * N), "ignored", "no value in any row"),
        (column("blob", [True] * N, "other", "binary"), "ignored", "of type binary, which can be no feature"),
        (column("flag", [i % 3 == 0 for i in range(N)], "boolean"), "category", "2 values"),
    ],
)  # fmt: skip
def test_a_column_is_taken_for_what_it_looks_like(one: SeenColumn, use: str, why: str) -> None:
    found = role_of(one)
    assert found.use == use
    assert why in found.why


def test_what_a_person_says_is_taken() -> None:
    amount = column("amount", SHUFFLED)
    assert role_of(amount, key=("amount",)) == Role(name="amount", use="key", why="as you said")
    assert role_of(amount, entity="amount").use == "entity"
    assert role_of(amount, timestamp="amount").use == "timestamp"
    # Another column is not guessed for what is told.
    others = column("customer_id", [i % 60 for i in range(N)]), column("uuid", SHUFFLED)
    found = roles(table(amount, *others), Told(label="y", key=("amount",), entity="amount"))
    assert [role.use for role in found[1:3]] == ["ignored", "ignored"]


def test_of_two_columns_one_is_the_key_and_one_the_time() -> None:
    ids = [column(name, SHUFFLED) for name in ("id", "other_id")]
    assert [role.use for role in roles(table(*ids), Told(label="y"))] == ["key", "ignored", "label"]
    hours = RANDOM.permutation(N)
    born, at = (
        column(name, [float(x) for x in values], "moment") for name, values in (("born", SHUFFLED), ("at", hours))
    )
    found = roles(table(born, at, days=("born", "at")), Told(label="y"))
    assert [role.use for role in found] == ["moment", "timestamp", "label"]
    assert found[1].why == "moments of 40 days"


def test_what_rises_with_the_time_is_no_feature() -> None:
    at = column("at", [float(i * 3600) for i in range(N)], "moment")
    hour, since = (
        column("hour", [i % 24 for i in range(N)]),
        column("since", [float(i // 24) for i in range(N)], "number"),
    )
    found = roles(table(at, hour, since, days=("at",)), Told(label="y"))
    assert [role.use for role in found] == ["timestamp", "number", "ignored", "label"]
    assert found[2].why == "rises with at, so that no train row has the values of later rows"


def test_the_area_is_scikit_learns() -> None:
    is_positive = np.array([text == "1" for text in LABELS])
    values = [float(x) for x in np.round(RANDOM.normal(size=N) + 0.7 * is_positive, 1)]
    seen = table(column("x", values, "number"))
    assert alone(seen.columns[0], seen) == pytest.approx(roc_auc_score(is_positive, values))
    reverse = table(column("x", [-x for x in values], "number"))
    assert alone(reverse.columns[0], reverse) == pytest.approx(roc_auc_score(is_positive, values))


def test_too_few_rows_of_a_class_give_nothing_away() -> None:
    few = ["1" if i < 9 else "0" for i in range(N)]
    seen = SeenTable(
        rows=N, classes={"0": N - 9, "1": 9}, positive="1", labels=few, columns=[column("x", range(N))], days={}
    )
    assert alone(seen.columns[0], seen) == 0.5

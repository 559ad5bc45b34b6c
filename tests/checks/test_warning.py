"""A warning as a sentence, and the line of many."""

from typing import Any

import pytest

from raresmith.checks.warning import KINDS, DataWarning, told
from raresmith.config.reference import page


def warning(kind: str, *found: dict[str, Any]) -> DataWarning:
    return DataWarning(kind=kind, found=found, positive="fraud")


FIELDS: dict[str, Any] = {
    "column": "x", "area": 1.0, "name": "fruad", "rows": 1_200, "other": "fraud", "split": "test", "least": 10,
    "first": "2025-01-01", "last": "2025-01-09", "expected": 12.4, "looks_like": "mail addresses", "value": "-999",
    "share": 0.25, "positives": 0.8, "others": 0.05, "code": "007", "plain": "7",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("no_value", "stands for no value? x (-999 in 25.0%); make it null in the raw table, for which "),
        ("nulls", "without a value by class: x (80% of class fraud, 5% of all others); if it is filled in after"),
        ("class_slip", "class mistyped? 'fruad' (1,200 rows) for 'fraud'; mend the labels in the raw table; "),
        ("too_few", "fewer rows of class fraud than a verdict takes: 1,200 in test; it takes 10; bring more rows"),
        ("days_without", "train days without class fraud: 2025-01-01 to 2025-01-09 (about 12 to be expected among"),
        ("personal", "personal data? x (mail addresses); made rows have none of it unless publish.carried = "),
        ("codes_in_two_ways", "codes with and without leading zeros, which are two categories: x ('007' and '7'); "),
        ("repeated_rows", "rows that repeat another in every column: 1,200; if they are copies by mistake, set "),
    ],
)
def test_a_warning_says_what_was_found_where_and_what_answers_it(kind: str, says: str) -> None:
    assert str(warning(kind, FIELDS)).startswith(says)


@pytest.mark.parametrize("kind", KINDS)
def test_the_settings_that_a_warning_names_are_there(kind: str) -> None:
    reference = page()
    keys = [
        word.strip(";,.") for word in str(warning(kind, FIELDS)).split() if word[:1].islower() and "." in word[1:-1]
    ]
    settings = [key.partition(".") for key in keys if key not in ("runs.measures",)]
    assert all(f"`{name} = " in reference or f"`{name}`" in reference for _, _, name in settings)


def test_of_many_columns_the_first_are_named_and_the_others_counted() -> None:
    many = warning("constant", *({"column": f"v{i}"} for i in range(2_000)))
    assert str(many) == (
        "one value, or none, in all train rows: v0, v1, v2, v3, v4 and 1,995 more; name it in source.ignore"
    )
    assert many.document()["says"] == str(many) and len(many.document()["found"]) == 2_000


def test_of_many_warnings_the_first_are_told_and_the_others_counted() -> None:
    one = warning("constant", FIELDS)
    assert told([one] * 5) == [str(one)] * 5
    assert told([one] * 7) == [*[str(one)] * 5, "and 2 more warnings, which the report and runs.measures have"]
    assert told([]) == []

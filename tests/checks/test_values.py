"""What values look like: what is told, and what lies next to it and is not."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raresmith.checks.seen import Kind, SeenColumn, seen
from raresmith.checks.values import are_dates, codes_in_two_ways, is_row_number, no_value, numbers_as_text, personal

N = 400
SHUFFLED = [int(i) for i in np.random.default_rng(0).permutation(N)]
DAY = 86_400_000_000


def column(values: Sequence[Any], kind: Kind = "whole", name: str = "x", type: str = "") -> SeenColumn:
    return SeenColumn(name=name, kind=kind, type=type, values=values)


@pytest.mark.parametrize(
    ("values", "name", "told"),
    [
        ([x + 7 for x in SHUFFLED], "x", True),
        ([2 * x for x in SHUFFLED], "x", True),
        ([9 * x for x in SHUFFLED], "x", False),  # any quantity may be another in each of some rows
        ([9 * x for x in SHUFFLED], "order_id", True),
        ([*SHUFFLED[1:], SHUFFLED[1]], "order_id", False),
        ([*SHUFFLED[1:], None], "order_id", False),
        (SHUFFLED[:49], "order_id", False),
    ],
)
def test_a_number_of_the_row_is_another_in_each_and_close_to_the_others_or_called_so(
    values: Sequence[Any], name: str, told: bool
) -> None:
    assert is_row_number(column(values, name=name), N) is told


def test_some_rows_of_a_large_table_do_not_tell_a_number_of_the_row_from_a_quantity() -> None:
    of_ten_thousand = column([int(x) for x in np.sort(np.random.default_rng(1).permutation(10_000)[:N])])
    assert not is_row_number(of_ten_thousand, 10_000)
    assert is_row_number(column([20 * x for x in range(N)]), 10_000)


def card(number: int) -> int:
    """`number` with Luhn's check digit, by another way than the one that is tested."""
    return next(10 * number + d for d in range(10) if checksum(f"{number}{d}") % 10 == 0)


def checksum(digits: str) -> int:
    table = "0246813579"
    return sum(int(table[int(d)]) if i % 2 else int(d) for i, d in enumerate(reversed(digits)))


@pytest.mark.parametrize(
    ("values", "kind", "name", "told"),
    [
        ([f"{i % 90}@example.org" for i in range(N)], "text", "x", "mail addresses"),
        ([f"{i % 90}@example.org" if i % 8 else "none" for i in range(N)], "text", "x", ""),
        ([f"DE{i % 90:02} 3704 0044 0532 0130 {i % 90:02}" for i in range(N)], "text", "x", "bank accounts (IBAN)"),
        ([f"+49 170 {1000000 + i}" for i in range(N)], "text", "x", "telephone numbers"),
        ([f"0170/{1000000 + i}" for i in range(N)], "text", "mobile", "telephone numbers"),
        ([f"0170/{1000000 + i}" for i in range(N)], "text", "x", ""),
        ([1701000000 + i % 90 for i in range(N)], "whole", "phone_number", "telephone numbers"),
        ([f"4000 1234 5678 {i % 90:04}" for i in range(N)], "text", "x", "card or account numbers"),
        ([card(400012345678000 + i % 90) for i in range(N)], "whole", "x", "card or account numbers"),
        ([4000123456780000 + 10 * (i % 90) for i in range(N)], "whole", "x", ""),  # that come again and fail the check
        ([10**14 + 7 * x for x in SHUFFLED], "whole", "x", "card or account numbers"),
        ([10 ** (9 + x % 4) + 7 * x for x in SHUFFLED], "whole", "x", ""),  # of several lengths
        ([1_700_000_000 + 7 * x for x in SHUFFLED], "whole", "x", ""),  # seconds since 1970
        ([1_700_000_000_000 + 7 * x for x in SHUFFLED], "whole", "x", ""),
        ([f"{'ABC'[i % 3]}nna M{'aeiou'[i % 5]}{'lmnrst'[i % 6]}er" for i in range(N)], "text", "full_name",
         "names of persons"),
        ([f"{'abc'[i % 3]}nna m{'aeiou'[i % 5]}{'lmnrst'[i % 6]}er" for i in range(N)], "text", "full_name", ""),
        ([f"{'ABC'[i % 3]}nna M{'aeiou'[i % 5]}{'lmnrst'[i % 6]}er" for i in range(N)], "text", "city", ""),
        ([f"Lamp {i}" for i in range(N)], "text", "name", ""),
        (["Abc", "Def"] * N, "text", "name", ""),
        ([1.5] * N, "number", "phone", ""),
        ([None] * N, "text", "phone", ""),
    ],
)  # fmt: skip
def test_what_says_who_somebody_is_is_told_by_its_look(values: Sequence[Any], kind: Kind, name: str, told: str) -> None:
    assert personal(column(values, kind, name)) == told


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([20250101 + i % 28 for i in range(N)], True),
        ([20250101 + i % 28 for i in range(N)] + [20251301], False),
        ([20250101] * N, False),
        ([20230229, 20230301], False),
        (range(19000101, 19000131), True),
        (range(18990101, 18990131), False),
        ([None], False),
    ],
)
def test_dates_written_as_numbers(values: Sequence[Any], told: bool) -> None:
    assert are_dates(column(values)) is told


SPREAD = [i % 30 for i in range(N)]


@pytest.mark.parametrize(
    ("values", "kind", "type", "told"),
    [
        ([-999] * 20 + SPREAD, "whole", "", ("-999", 20 / 420)),
        ([9999] * 20 + SPREAD, "whole", "", ("9999", 20 / 420)),
        ([-999] * 9 + SPREAD, "whole", "", None),  # too few
        ([-999] * 10 + SPREAD * 3, "whole", "", None),  # less than one in a hundred
        ([-25] * 20 + SPREAD, "whole", "", None),  # not farther than the others are
        ([0] * 20 + [1000 + x for x in SPREAD], "whole", "", None),  # nothing is a number too
        ([-1] * 100 + SPREAD, "whole", "", ("-1", 0.2)),
        ([-1] * 20 + SPREAD, "whole", "", None),  # no more than of the others
        ([-1] * 100 + [-2] * 20 + SPREAD, "whole", "", None),
        ([-1] * 20 + [10_000 + x for x in SPREAD], "whole", "", ("-1", 20 / 420)),
        ([-1] * 100 + [-2 - x for x in SPREAD], "whole", "", None),
        ([99] * 50 + [1, 2, 3] * 100, "whole", "", None),  # a few codes
        ([-999.0] * 20 + [x / 7 for x in SPREAD], "number", "", ("-999", 20 / 420)),
        ([-998.99999] * 20 + [x / 7 for x in SPREAD], "number", "", ("-999", 20 / 420)),  # as floats of 32 bits have it
        ([-25567] * 20 + [20000 - 1000 * x for x in SPREAD], "moment", "date", ("1900-01-01", 20 / 420)),
        ([-25566] * 20 + [20000 - 1000 * x for x in SPREAD], "moment", "date", None),
        ([2932896] * 20 + [20000 + x for x in SPREAD], "moment", "date", ("9999-12-31", 20 / 420)),
        ([0] * 20 + [DAY * (9000 + x) + 5 for x in SPREAD], "moment", "timestamp", ("1970-01-01", 20 / 420)),
        ([1] * 20 + [DAY * (9000 + x) for x in SPREAD], "moment", "timestamp",
         ("1970-01-01 00:00:00.000001", 20 / 420)),
        (["-999"] * N, "text", "", None),
        ([None] * N, "whole", "", None),
    ],
)  # fmt: skip
def test_a_value_that_stands_for_none_lies_apart_and_is_frequent(
    values: Sequence[Any], kind: Kind, type: str, told: tuple[str, float] | None
) -> None:
    assert no_value(column(values, kind, type=type)) == told


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([*map(str, range(95)), *["n/a"] * 5], (0.95, "n/a")),
        ([*map(str, range(89)), *["n/a"] * 11], None),
        ([f"{i},5" for i in range(50)], (1.0, "")),
        ([f"{i % 20}" for i in range(50)], None),  # a few codes
        ([f"{10000 + 7 * i}" for i in range(50)], None),  # codes of one length
        ([f"{i}" for i in range(50)] + ["007"], None),
        ([], None),
    ],
)
def test_text_of_which_nearly_all_are_numbers_and_no_codes(
    values: Sequence[Any], told: tuple[float, str] | None
) -> None:
    assert numbers_as_text(column(values, "text")) == told


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["007", "012", "7", "13"], ("007", "7")),
        (["00", "0"], ("00", "0")),
        (["007", "012", "13"], None),  # codes as they should be
        (["007", "7", "a", "b", "c"], None),
    ],
)
def test_codes_with_and_without_their_zeros(values: Sequence[Any], told: tuple[str, str] | None) -> None:
    assert codes_in_two_ways(column(values, "text")) == told


def test_what_arrow_holds_is_seen_as_numbers_texts_and_nothing() -> None:
    day = np.array(["2025-01-02"], "datetime64[D]")
    for values, kind, told in (
        (pa.array([1, None], pa.int8()), "whole", [1, None]),
        (pa.array([1.5, float("nan"), None]), "number", [1.5, None, None]),
        (pa.array([12, None]).cast(pa.decimal128(24, 0)), "whole", [12, None]),
        (pa.array([12]).cast(pa.decimal128(24, 2)), "number", [12.0]),
        (pa.array(day), "moment", [20090]),
        (pa.array(day.astype("datetime64[us]")), "moment", [20090 * DAY]),
        (pa.array(["a", None]), "text", ["a", None]),
        (pa.array([True]), "boolean", [True]),
        (pa.array([[1], None]), "other", [True, False]),
    ):
        found = seen("x", "as Spark calls it", values)
        assert (found.kind, list(found.values)) == (kind, told)

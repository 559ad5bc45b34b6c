"""What the texts of a column stand for."""

import pytest

from raresmith.reading.kinds import Kind, kind_of
from raresmith.reading.marks import Marks


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        ([], "text"),
        (["", " "], "text"),
        (["true", "False"], "boolean"),
        (["1", " 2", "-3", "0"], "whole"),
        (["1", "NaN"], "number"),
        (["1.5", "2", ".5", "1e-05", "1.2E7"], "number"),
        (["0.30000000000000004"], "number"),  # as programs write floats
        (["12345678901234.123456"], "decimal"),
        (["99999999999999999999.5", "NaN"], "text"),
        (["1" * 18], "whole"),
        (["1" * 19], "text"),
        (["007", "42"], "text"),
        (["0.5", "0"], "number"),
        (["00.5"], "text"),
        (["12E7", "34"], "text"),
        (["2024-01-05", "2023-12-31"], "date"),
        (["2024-01-05 10:00", "2024-01-05T10:00:00.5Z", "2024-01-05"], "timestamp"),
        (["2024-01-05 10:00:00.123456789"], "text"),  # Spark would cut it
        (["10:00:00"], "text"),
        (["1.5.2", "1.6.0"], "text"),
        (["abc", "1"], "text"),
    ],
)
def test_kinds(texts: list[str], kind: str) -> None:
    assert kind_of(texts, Marks()).name == kind


@pytest.mark.parametrize(
    ("texts", "kind", "why"),
    [
        (["12345", "01067"], "text", "the file has its numbers as text"),
        (["true"], "text", ""),
        (["2024-01-05"], "date", ""),
    ],
)
def test_what_the_file_itself_calls_text_is_no_number(texts: list[str], kind: str, why: str) -> None:
    found = kind_of(texts, Marks(), written_as_text=True)
    assert (found.name, found.why) == (kind, why)


@pytest.mark.parametrize(
    ("texts", "name", "format"),
    [
        (["05.01.2024", "5.1.2024"], "date", "d.M.yyyy"),
        (["05.01.2024 10:00"], "timestamp", "d.M.yyyy H:mm"),
        (["13/01/2024", "02/01/2024"], "date", "d/M/yyyy"),
        (["01/13/2024 1:05:00 PM"], "timestamp", "M/d/yyyy h:mm:ss a"),
        (["2024/1/5"], "date", "yyyy/M/d"),
    ],
)
def test_moments_have_the_one_format_that_fits_all(texts: list[str], name: str, format: str) -> None:
    found = kind_of(texts, Marks())
    assert (found.name, found.format) == (name, format)


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["01/02/2024", "11/12/2024"], "d/M/yyyy or M/d/yyyy; set source.options.date_format"),
        (["1,234", "2"], "1,234 is no number with a decimal point; set source.options.decimal and thousands"),
        (["007"], "leading zeros"),
        (["1e5", "3e7"], "they look like powers of ten"),
    ],
)
def test_what_could_be_two_things_is_text_and_says_what_to_set(texts: list[str], why: str) -> None:
    assert kind_of(texts, Marks()) == Kind(name="text", why=why)


def test_a_slip_among_many_numbers_leaves_them_numbers() -> None:
    numbers = [str(i) for i in range(299)]
    assert kind_of([*numbers, "$1,234.50"], Marks()).name == "whole"
    assert kind_of([*numbers[:50], "$1,234.50"], Marks()).name == "text"
    assert kind_of([*numbers, "007"], Marks()).name == "text"

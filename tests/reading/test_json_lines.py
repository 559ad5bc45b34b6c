"""What the beginning of a JSON file shows."""

import pytest

from raresmith.errors import DataError
from raresmith.reading.json_lines import Samples, check_begins_with_object, objects


def test_numbers_keep_their_digits_and_are_told_from_text() -> None:
    samples = Samples()
    samples.add(
        objects('{"a": 0.10, "b": "007", "c": 1e16, "d": true, "e": null}\n{"a": 12345678901234567890, "f": {}}')
    )
    assert dict(samples.texts) == {
        "a": ["0.10", "12345678901234567890"],
        "b": ["007"],
        "c": ["1e+16"],
        "d": ["True"],
    }
    assert samples.bare == {"a", "c", "d"}
    assert samples.nested == {"f"}


def test_lines_that_are_no_object_are_passed_over() -> None:
    assert [*objects('{"a": 1}\n5\n[{"a": 2}]\n{"a": 3}{"a": 4}\n{"a": 5')] == [{"a": "1"}]
    separator = '{"a": "x\u2028y"}'
    assert [*objects(separator)] == [{"a": "x\u2028y"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('\n [\n{"a": 1}]', r"is one array, but .*one object a line; write it so, by jq -c '\.\[\]' FILE or pandas'"),
        ("# Payments\n", "begins with '# Payments', which is no object of JSON"),
    ],
)
def test_what_is_no_object_a_line_is_refused(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_begins_with_object(text)

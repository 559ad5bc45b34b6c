"""How a file of separated values is written."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raresmith.reading.dialect import SEPARATORS, Dialect, dialect_of, ends_in_crlf, has_line_breaks
from raresmith.reading.text import decoded, encoding_of

GERMAN = "id;Betrag;Text\n1;5,20;a\n2;1,10;b, c\n3;7,00;\n"


@pytest.mark.parametrize(
    ("text", "separator", "escape"),
    [
        (GERMAN, ";", '"'),
        ("a,b\n1,2\n", ",", '"'),
        ("a\tb\n1,5\t2\n", "\t", '"'),
        ("a|b,c\n1|2,3\n", ",", '"'),  # both fit: the more usual one
        ('a,b\n1,"x ""y"", z"\n', ",", '"'),
        ('a,b\n1,"x \\"y\\", z"\n2,"\\"q, r"\n', ",", "\\"),
        ("a\n1\n2\n", ",", '"'),
        ("", ",", '"'),
    ],
)
def test_the_dialect_is_that_in_which_records_are_as_wide_as_the_header(text: str, separator: str, escape: str) -> None:
    assert dialect_of(text) == Dialect(separator=separator, escape=escape)


def test_what_is_told_stands_and_line_breaks_are_seen_within_quotes_alone() -> None:
    assert dialect_of(GERMAN, separator=",").separator == ","
    assert str(dialect_of(GERMAN)) == "; separated"
    assert not has_line_breaks(dialect_of(GERMAN), GERMAN)
    broken = 'a,b\n1,"x\ny"\n'
    assert has_line_breaks(dialect_of(broken), broken)
    assert not has_line_breaks(dialect_of("a,b\r\n1,2\r\n"), "a,b\r\n1,2\r\n")


@given(
    st.lists(
        st.lists(st.text(alphabet='ab ,;|\t"\n\u00e4', max_size=4), min_size=3, max_size=3), min_size=3, max_size=9
    ),
    st.sampled_from(SEPARATORS),
)
def test_records_are_those_that_were_written(rows: list[list[str]], separator: str) -> None:
    written = io.StringIO()
    csv.writer(written, delimiter=separator, quoting=csv.QUOTE_ALL).writerows(rows)
    assert [*Dialect(separator=separator).records(written.getvalue())] == rows


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_text_comes_back_from_its_encoding(encoding: str) -> None:
    text = "id;Straße;€\n1;Köln;5,20\n" * 50
    written = text.encode(encoding)
    assert decoded(written, encoding_of(written)) == text
    assert text.startswith(decoded(written[:1001], encoding_of(written[:1001]))[:400])


def test_a_character_that_the_sample_cuts_is_no_fault() -> None:
    assert encoding_of("Köln".encode()[:2]) == "UTF-8"
    assert decoded("Köln".encode()[:2], "UTF-8") == "K"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\r\n1,2\n", True),
        ("a,b\n1,2\r\n", False),
        ('\r\n"a\n",b\r\n', True),
        ('"a\r\n",b\n', False),
        ("a,b", False),
        ("", False),
        (f'a,"{200_000 * "x"}', False),  # more than Python takes for one value
    ],
)
def test_what_the_first_record_ends_in(text: str, told: bool) -> None:
    assert ends_in_crlf(Dialect(separator=","), text) is told

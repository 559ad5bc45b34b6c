"""The encoding of a file is told by its first bytes."""

import pytest

from raresmith.reading.text import encoding_of

TEXT = "id,name,y\n" + "".join(f"{k},日本語のテキスト {k},{k % 2}\n" for k in range(60))


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16LE", "UTF-16BE"])
def test_each_unicode_is_told_without_a_mark(encoding: str) -> None:
    assert encoding_of(TEXT.encode(encoding)) == encoding


def test_what_is_no_unicode_is_western() -> None:
    assert encoding_of("id,name\n1,Müller\n".encode("latin-1")) == "windows-1252"


@pytest.mark.parametrize("text", ["id,name\n1,a\0b\n2,\0\n", "", "x"])
def test_zeros_within_values_are_not_utf_16(text: str) -> None:
    assert encoding_of(text.encode()) == "UTF-8"

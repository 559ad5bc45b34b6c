"""Which encoding the bytes of a text file are in."""

import codecs

from raresmith.errors import DataError

_MARKS = {
    codecs.BOM_UTF8: "UTF-8",
    codecs.BOM_UTF16_LE: "UTF-16LE",
    codecs.BOM_UTF16_BE: "UTF-16BE",
}
"""Byte order marks and what they stand for; that of UTF-32 begins like UTF-16's and is looked for before."""

_WESTERN = "windows-1252"
"""ISO 8859-1 with letters where that has control characters: browsers take the one for the other too."""


def encoding_of(sample: bytes) -> str:
    """The name, as Java and Python both know it, of the encoding that the first bytes of a file are in.

    A byte order mark says it. Without one, many zeros in every other byte are UTF-16 (a few lie in values), bytes that
    are valid UTF-8 are that, and all others are taken for Western European.

    Parameters
    ----------
    sample : bytes
        The beginning of the file; it may end within a character.

    Raises
    ------
    DataError
        If it is UTF-32, which Spark does not read.
    """
    if sample.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise DataError("is in UTF-32, which Spark does not read; save it as UTF-8")
    for mark, name in _MARKS.items():
        if sample.startswith(mark):
            return name
    # Separators and digits have their zero on the same side in all of the text.
    zeros = {name: sample[side:1000:2].count(0) for side, name in enumerate(("UTF-16BE", "UTF-16LE"))}
    if max(zeros.values()) > len(sample[:1000]) // 10:
        return max(zeros, key=lambda name: zeros[name])
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)  # a character that the sample cuts is no fault
    except UnicodeDecodeError:
        return _WESTERN
    return "UTF-8"


def decoded(sample: bytes, encoding: str) -> str:
    """The text of the first bytes of a file, without the byte order mark and a character that is cut."""
    try:
        decoder = codecs.getincrementaldecoder(encoding)("replace")
    except LookupError:
        raise DataError(
            "source.options.encoding is {encoding!r}, which is no encoding; take UTF-8, windows-1252 or UTF-16LE",
            encoding=encoding,
        ) from None
    return decoder.decode(sample).removeprefix("\ufeff")

"""`[source.options]`: how text files and workbooks are written."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from raresmith.config.section import Section
from raresmith.errors import ConfigError

_TYPES = frozenset({"null_words", "date_format", "timestamp_format"})


class SourceOptions(Section):
    """`[source.options]`: how the files of a CSV table are written, or those of a JSON or Excel table for `null_words`,
    `date_format` and `timestamp_format`. What is not said is found out by looking at them, and told in the line of
    `prepare`."""

    section: ClassVar[str] = "source.options"

    separator: str = ""
    """Character between values; empty looks for comma, semicolon, tab or bar."""
    quote: str = '"'
    """Character around values that hold separators, quotes or line breaks."""
    escape: str = ""
    """Character before a quote within a value: the quote itself or a backslash; empty looks which."""
    encoding: str = ""
    """Encoding, such as "UTF-8", "windows-1252" or "UTF-16LE"; empty takes what the first bytes of each file show."""
    header: bool = True
    """Whether the first record of each file has the columns' names; else they are called _c0, _c1 and so on."""
    line_breaks: bool | None = None
    """Whether values have line breaks within their quotes; such a file is read by one task. Unset looks for one."""
    decimal: Literal["", ".", ","] = ""
    """Mark before the decimals; empty takes what the numbers of the first rows show."""
    thousands: str = ""
    """Mark between thousands, likewise."""
    null_words: tuple[str, ...] = ()
    """Texts that stand for no value in any column; empty takes NA, NULL, None, - and the like for none in columns of
    numbers, dates and timestamps, and leaves text as it is."""
    date_format: str = ""
    """Format of dates as Spark writes it, such as "dd.MM.yyyy"; empty looks."""
    timestamp_format: str = ""
    """Format of timestamps, such as "dd.MM.yyyy HH:mm"; empty looks."""
    sheet: str = ""
    """Sheet of an Excel workbook; empty takes the first."""

    def not_for(self, format: str) -> list[str]:
        """The options that are set and say nothing of files of that format."""
        known = {"csv": {*type(self).model_fields} - {"sheet"}, "json": _TYPES, "excel": _TYPES | {"sheet"}}
        changed = [name for name, value in self if value != type(self).model_fields[name].default]
        return [name for name in changed if name not in known.get(format, ())]

    def mistakes(self) -> Iterator[ConfigError]:
        """Marks of more than one character, or two that are the same."""
        for name in ("separator", "quote", "escape", "thousands"):
            if len(value := getattr(self, name)) > 1 or (name == "quote" and not value):
                yield ConfigError("{key} must be one character, got {value!r}", key=self.key_of(name), value=value)
        if self.thousands and self.thousands == self.decimal:
            yield ConfigError(
                "{key} and {other} are both {mark!r}",
                key=self.key_of("decimal"),
                other=self.key_of("thousands"),
                mark=self.decimal,
            )

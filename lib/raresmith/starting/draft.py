"""The configuration file that a person begins with, with the reason of each guess beside it."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from raresmith.starting.roles import Role
from raresmith.starting.split import DaySplit

_WIDE = 110
"""Columns up to which a comment goes behind what it is about."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """All that the file says."""

    name: str
    path: str
    format: str
    roles: Sequence[Role]
    days: DaySplit | None
    """How it is split where the split goes by time."""
    no_days: str
    """Why it does not, where there is a time; or ""."""

    def of(self, *uses: str) -> list[Role]:
        """The columns taken for one of `uses`."""
        return [role for role in self.roles if role.use in uses]

    def first(self, use: str) -> str:
        """The column taken for `use`; "" where there is none."""
        return next((role.name for role in self.of(use)), "")

    @property
    def split(self) -> str:
        """How the rows are split, and why, in one sentence."""
        if self.days:
            spans = ", ".join(f"{name} {first} to {last}" for name, (first, last) in vars(self.days).items())
            return f"by time, as it will be used: {spans}"
        entity = f"by {self.first('entity')}, so that nobody is on two sides" if self.first("entity") else ""
        return (entity or "at random, by hash of the row") + (f"; not by time: {self.no_days}" if self.no_days else "")

    def lines(self) -> list[str]:
        """What each column was taken for and how the rows are split, for a person."""
        name, use = (max(len(getattr(role, field)) for role in self.roles) for field in ("name", "use"))
        told = [f"{_plain(r.name):<{name}}  {r.use:<{use}}  {_plain(r.why)}" for r in self.roles]
        return [*told, f"split {self.split}"]

    def text(self) -> str:
        """The file."""
        return "\n".join([*self._run(), *self._source(), *self._split(), *self._evaluate()]) + "\n"

    def _run(self) -> Iterable[str]:
        yield "# Every guess has its reason beside it. Change what is wrong; docs/configuration.md has all keys."
        yield ""
        yield "[run]"
        yield f"name = {_toml(self.name)}"
        yield f"warehouse = {_toml(f'{self.name}-warehouse')}"

    def _source(self) -> Iterable[str]:
        yield ""
        yield "[source]"
        yield f"path = {_toml(self.path)}"
        yield f"format = {_toml(self.format)}"
        (label,) = self.of("label")
        yield from _with_why(f"label = {_toml(label.name)}", label.why)
        if key := self.of("key"):
            yield from _with_why(f"key = {_toml([role.name for role in key])}", key[0].why)
        if time := self.of("timestamp"):
            yield from _with_why(f"timestamp = {_toml(time[0].name)}", time[0].why)
        if ignored := self.of("ignored", "entity"):
            yield "ignore = ["
            for role in ignored:
                yield from _with_why(f"  {_toml(role.name)},", role.why)
            yield "]"
        for role in self.of("category", "number", "moment"):
            yield f"# feature {_toml(role.name)}: {role.use}, {_plain(role.why)}"

    def _split(self) -> Iterable[str]:
        yield ""
        yield "[split]"
        yield f"# {_plain(self.split)}"
        if self.days:
            yield 'strategy = "time"'
            for name, (first, last) in vars(self.days).items():
                yield f"{name} = {_toml([first.isoformat(), last.isoformat()])}"
        elif entity := self.first("entity"):
            yield 'strategy = "entity"'
            yield f"entity = {_toml(entity)}"
        else:
            yield 'strategy = "hash"'

    def _evaluate(self) -> Iterable[str]:
        if (entity := self.first("entity")) and self.first("timestamp"):
            yield ""
            yield "[evaluate]"
            yield f"entity = {_toml(entity)}"


def run_name(path: str) -> str:
    """A name for the run of a table at `path`."""
    last = re.sub(r"[*?\[{].*", "", path).rstrip("/").rpartition("/")[2].partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", last).strip("-") or "table"


def _with_why(line: str, why: str) -> Iterable[str]:
    why = _plain(why)
    if len(line) + len(why) <= _WIDE:
        yield f"{line}  # {why}"
    else:
        indent = line[: len(line) - len(line.lstrip())]
        yield f"{indent}# {why}"
        yield line


def _plain(text: str) -> str:
    """`text` in one line: values of the table may have breaks, which would end the comment."""
    return "".join(character if character.isprintable() else " " for character in text)


def _toml(value: str | Sequence[str]) -> str:
    """As TOML writes it: a string of JSON, whose escapes are TOML's as well, but for the one of DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

"""What the file can say: as a JSON Schema, by which editors complete it, and as a page of the documentation."""

import json
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import PydanticUndefined

from raresmith.config.file import SECTIONS, Config
from raresmith.config.notes import notes
from raresmith.config.parameters import Choice
from raresmith.config.section import Section, described
from raresmith.config.sections.evaluate import EvaluateConfig

HEAD = """\
# Configuration

One TOML file describes a run; `conf/` has some. Each section is a stage's, each key has the default that stands behind
it, and a key that is not here is a mistake. `make docs` writes this page from the classes that check the file.

Editors that know JSON Schema, such as those with Taplo (Even Better TOML), complete the file and mark mistakes as you
type. `raresmith schema > raresmith.schema.json` writes the schema, with the methods of the packages that are installed;
the file names it in its first line:

    #:schema ./raresmith.schema.json
"""


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a configuration file, with the own keys of all that is registered."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Config.model_json_schema(),
        "title": "raresmith",
        "description": "A run of raresmith.",
    }


def page() -> str:
    """docs/configuration.md: every section and key, in the order of the stages."""
    return "\n".join([HEAD, *(line for section in SECTIONS.values() for line in _section(section))])


def _section(cls: type[Section], written: str = "[{}]", level: str = "##") -> Iterator[str]:
    """A section, its keys, and the tables within."""
    yield from (f"{level} `{written.format(cls.section)}`", "", _text(cls, cls.section), "")
    yield from _keys(cls)
    if issubclass(cls, Choice):
        yield from _tables(cls.tables(), cls.registered(), f'{cls.chooser} = "{{}}"')
    if issubclass(cls, EvaluateConfig):
        yield from _tables(cls.tables(), cls.registered(), f"[{cls.section}.classifiers.{{}}]")
    for hint in typing.get_type_hints(cls, include_extras=True).values():
        for inner in (hint, *typing.get_args(hint)):
            if isinstance(inner, type) and issubclass(inner, Section):
                in_list = typing.get_origin(hint) is tuple
                yield from _section(inner, "[[{}]]" if in_list else "[{}]", "###")


def _tables(tables: Mapping[str, type[Section]], registered: Mapping[str, type[Any]], written: str) -> Iterator[str]:
    """What is registered, and its own keys."""
    for name, table in tables.items():
        yield from (f"### `{written.format(name)}`", "", _text(registered[name]), "")
        yield from _keys(table)


def _text(cls: type, section: str = "") -> str:
    """The first paragraph of a class's docstring."""
    text = " ".join((cls.__doc__ or "").split("\n\n")[0].split())
    text = text.removeprefix(f"`[{section}]`: ").removeprefix(f"`[[{section}]]`: ")
    return text[:1].upper() + text[1:]


def _keys(cls: type[Section]) -> Iterator[str]:
    hints = typing.get_type_hints(cls, include_extras=True)
    for name, field in cls.model_fields.items():
        if issubclass(cls, Choice) and name == "parameters":
            continue
        default = field.get_default(call_default_factory=True)
        is_said = default is not PydanticUndefined and default is not None and not isinstance(default, (dict, Section))
        shown = f"{name} = {json.dumps(default, ensure_ascii=False)}" if is_said else name
        needed = ", required" if field.is_required() else ""
        yield f"- `{shown}`, {described(hints[name])}{needed}: {notes(cls.noted_in or cls).get(name, '')}"
    yield ""

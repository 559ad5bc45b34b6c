"""What the lines of a JSON file hold, told by its beginning."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from raresmith.errors import DataError

LINES = 1000
"""Of a file's beginning that are looked at."""
ONE_A_LINE = (
    "raresmith reads JSON with one object a line; write it so, by jq -c '.[]' FILE or pandas' "
    "to_json(orient='records', lines=True)"
)
_BARE_POWER = re.compile(r"[eE](?=\d)")


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Some values of each key whose values are no objects or arrays, as texts."""

    texts: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    bare: set[str] = field(default_factory=set)
    """Keys of which a value stands without quotes: a number, true or false."""
    nested: set[str] = field(default_factory=set)
    """Keys of which a value is an object or an array."""

    @property
    def only_nested(self) -> set[str]:
        """Keys all of whose values are objects or arrays."""
        return self.nested - self.texts.keys()

    def has(self, key: str) -> bool:
        """Whether there is a value of `key`."""
        return key in self.nested or key in self.texts

    def add(self, objects: Iterable[dict[str, Any]]) -> None:
        """Take the values of some lines."""
        for key, value in (pair for found in objects for pair in found.items()):
            if isinstance(value, (dict, list)):
                self.nested.add(key)
            elif value is not None:
                self.texts[key].append(str(value))
                if not isinstance(value, str) or isinstance(value, _Bare):
                    self.bare.add(key)


class _Bare(str):
    """A number as it is written."""


def _number(text: str) -> _Bare:
    # In text, digits around an E are taken for an identifier unless the power has a sign; here they are none.
    return _Bare(_BARE_POWER.sub("e+", text))


def check_begins_with_object(text: str) -> None:
    """Make sure that a file that begins so can hold one object a line.

    Raises
    ------
    DataError
        Saying what it holds instead and how to write it.
    """
    begin = text.lstrip()
    if begin.startswith("["):
        raise DataError(f"is one array, but {ONE_A_LINE}")
    if not begin.startswith("{"):
        raise DataError(f"begins with {begin.partition(chr(10))[0][:20]!r}, which is no object of JSON")


def objects(text: str) -> Iterator[dict[str, Any]]:
    """The objects in the first lines of `text`, numbers as they are written; lines that are none are passed over."""
    # Not splitlines, which breaks at characters that may stand in a value.
    for line in text.split("\n")[:LINES]:
        try:
            found = json.loads(line, parse_float=_number, parse_int=_Bare, parse_constant=_Bare)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            yield found

"""What every section of the configuration is: a frozen pydantic model that tells all its mistakes at once."""

import difflib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from annotated_types import Ge, Gt, Le, Lt
from pydantic import (
    AllowInfNan,
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    PrivateAttr,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from raresmith.config.notes import notes
from raresmith.errors import ConfigError, Key

Natural = Annotated[int, Ge(0)]
Positive = Annotated[int, Ge(1)]
Share = Annotated[float, Gt(0), Le(1)]
Finite = Annotated[float, AllowInfNan(False)]
Seed = Annotated[int, Ge(0), Lt(2**63)]


class ConfigErrors(ConfigError):
    """All mistakes of a configuration: one line where there is one, else a list.

    Parameters
    ----------
    mistakes : sequence of ConfigError
        Each of them; at least one.
    file : Path, optional
        The file that has them.
    """

    def __init__(self, mistakes: Sequence[ConfigError], file: Path | None = None) -> None:
        self.mistakes, self.file = tuple(mistakes), file
        told = [str(mistake) for mistake in self.mistakes]
        if len(told) == 1:
            super().__init__(f"{file}: {told[0]}" if file else told[0])
        else:
            super().__init__("\n  ".join([f"{file or 'the configuration'} has {len(told)} mistakes:", *told]))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.mistakes, self.file)

    def spelt(self, spell: typing.Callable[[Key], str]) -> Self:
        """The same mistakes, each so spelt."""
        return type(self)([mistake.spelt(spell) for mistake in self.mistakes], self.file)


class Section(BaseModel):
    """A table of the file. The text below a field says its meaning, unit and range."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    section: ClassVar[str] = ""
    """Its name in the file."""
    noted_in: ClassVar[type | None] = None
    """The class that has the notes of its fields, where it is another."""

    _read: set[str] | None = PrivateAttr(None)
    """Where the keys are noted that are read; None where nobody asks."""

    def __init__(self, /, **values: Any) -> None:
        """Check `values`; ConfigErrors with every mistake."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigErrors(list(mistakes_in(error, type(self), self.section))) from None

    # Then pydantic makes a section within a section by itself, and goes on to the next one after a mistake.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def mistakes(self) -> Iterable[ConfigError]:
        """What is wrong although each value is of its type and in its range."""
        return ()

    @model_validator(mode="after")
    def _has_no_mistakes(self) -> Self:
        if found := list(self.mistakes()):
            raise refused(found)
        return self

    @classmethod
    def key_of(cls, name: str) -> Key:
        """The name of a field as the file has it."""
        return Key(f"{cls.section}.{name}" if cls.section else name)

    def noting(self, read: set[str]) -> Self:
        """The same section, which adds each of its keys to `read` when it is read."""
        copied = self.model_copy()
        copied._read = read
        return copied

    if not typing.TYPE_CHECKING:  # or every name would be one that there is

        def __getattribute__(self, name: str) -> Any:
            """Methods and properties of the section come through here too, so they cannot read a key unnoted."""
            value = super().__getattribute__(name)
            if (read := _noted_in(self)) is not None:
                found = object.__getattribute__(self, "__dict__")
                # Who takes all at once, to copy, dump or compare them, may read each.
                taken = found if name == "__dict__" else found.keys() & {name}
                # A section that notes its own keys is not read when it is reached.
                read.update(self.key_of(key) for key in taken if _noted_in(found[key]) is None)
            return value

    def replaced(self, **changes: Any) -> Self:
        """The section with other values, checked as a new one is."""
        return type(self)(**{**dict(self), **changes})

    def document(self) -> dict[str, Any]:
        """The values as the file could say them."""
        return self.model_dump()

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, note in notes(cls.noted_in or cls).items():
            if name in properties:
                properties[name]["description"] = note
        return schema


def _noted_in(value: Any) -> set[str] | None:
    """Where a section notes its keys that are read; None where it does not, or is no section."""
    if not isinstance(value, Section):
        return None
    try:
        private = object.__getattribute__(value, "__pydantic_private__")
    except AttributeError:  # it is just being made
        return None
    found: set[str] | None = private["_read"] if private else None
    return found


def refused(mistakes: Iterable[ConfigError]) -> ValidationError:
    """What a validator of pydantic raises to tell several mistakes of ours."""
    kinds = (PydanticCustomError("mistake", "{mistake}", {"mistake": mistake}) for mistake in mistakes)
    return ValidationError.from_exception_data("", [InitErrorDetails(type=kind, input=None) for kind in kinds])


def unknown_key(section: str, name: str, known: Iterable[str]) -> ConfigError:
    """The mistake of a key that there is not."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; there are {known}"
    if not section:
        return ConfigError("there is no section [{name}]{hint}", name=name, hint=hint)
    return ConfigError("[{section}] has no key {name!r}{hint}", section=section, name=name, hint=hint)


def mistakes_in(error: ValidationError, cls: type[Section], section: str) -> Iterator[ConfigError]:
    """Each mistake that pydantic found in a table of type `cls`, in words that name the key."""
    by_key: dict[str, ConfigError] = {}
    for detail in error.errors(include_url=False):
        kind, found = detail["type"], detail["input"]
        if kind == "mistake":
            yield detail["ctx"]["mistake"]
            continue
        key, hint, table = _place(cls, section, detail["loc"])
        within, _, name = key.rpartition(".")
        if kind == "extra_forbidden":
            yield unknown_key(within, name, table.model_fields)
        elif kind == "missing":
            note = notes(table.noted_in or table).get(name, described(hint))
            yield ConfigError("[{table}] lacks {name!r}: {note}", table=within, name=name, note=note)
        elif key not in by_key or kind in _RANGES:  # of a union's members, the one whose range it misses
            expected = _range(hint) if kind in _RANGES else described(hint)
            shown = list(found) if isinstance(found, tuple) else found
            by_key[key] = ConfigError(
                "{key} must be {expected}, got {found!r}", key=Key(key), expected=expected, found=shown
            )
    # Of a table that is wrong because a value within is, the value.
    yield from (found for key, found in by_key.items() if not any(other.startswith(f"{key}.") for other in by_key))


_RANGES = {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number"}
"""The errors of pydantic that say a value of the right type is out of range; the others that are left are of types."""

_TABLES = (dict, Mapping)


def _bare(hint: Any) -> Any:
    """A type without its range."""
    return _bare(hint.__origin__) if typing.get_origin(hint) is Annotated else hint


def _members(hint: Any) -> tuple[Any, ...]:
    """The types that a union names beside None; of any other type, itself."""
    bare = _bare(hint)
    if typing.get_origin(bare) in (typing.Union, types.UnionType):
        return tuple(member for member in typing.get_args(bare) if member is not types.NoneType)
    return (hint,)


def _place(cls: type[Section], section: str, loc: Sequence[int | str]) -> tuple[str, Any, type[Section]]:
    """The key of a place in a table of type `cls`, the type that it asks for, and the table that it is in."""
    key, table = section, cls
    hint: Any = cls
    for number, step in enumerate(loc, start=1):
        members = _members(hint)
        if len(members) > 1:  # the step names one of them
            if number < len(loc):
                hint = next(member for member in members if typing.get_origin(_bare(member)) in (*_TABLES, tuple))
            continue
        bare = _bare(members[0])
        if isinstance(bare, type) and issubclass(bare, Section):
            table = bare
            key, hint = f"{key}.{step}", typing.get_type_hints(bare, include_extras=True).get(str(step))
        elif typing.get_origin(bare) in _TABLES:
            key, hint = f"{key}.{step}", typing.get_args(bare)[1]
        else:
            hint = typing.get_args(bare)[0]
    return key, hint, table


def described(hint: Any) -> str:
    """A type as a user would say it."""
    members = _members(hint)
    if len(members) > 1:
        return " or ".join(described(member) for member in members)
    bare = _bare(members[0])
    origin, arguments = typing.get_origin(bare), typing.get_args(bare)
    if origin is Literal:
        return "one of " + ", ".join(repr(a) for a in arguments)
    if origin is tuple:
        return f"a list, each {described(arguments[0])}"
    if origin in _TABLES:
        return f"a table, each value {described(arguments[1])}"
    return {str: "text", int: "a whole number", float: "a number", bool: "true or false"}.get(bare, "a table")


def _range(hint: Any) -> str:
    """The range of a number, or of the number that a union names."""
    ranged = next((member for member in _members(hint) if typing.get_origin(member) is Annotated), None)
    bounds = {type(bound): bound for bound in getattr(ranged, "__metadata__", ())}
    low = bounds[Ge].ge if Ge in bounds else bounds[Gt].gt if Gt in bounds else None
    high = bounds[Le].le if Le in bounds else bounds[Lt].lt if Lt in bounds else None
    if low is None:
        return "finite"
    if high is None:
        return f"at least {low}" if Ge in bounds else f"a number above {low}"
    if Ge in bounds and Le in bounds and _bare(ranged) is int:
        return f"from {low} to {high}"
    return f"in {'[' if Ge in bounds else '('}{low}, {high}{']' if Le in bounds else ')'}"

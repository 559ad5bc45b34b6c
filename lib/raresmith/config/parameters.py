"""Tables whose keys belong to what the file names: an oversampler, a generator, a classifier.

Each of these has a dataclass `Parameters`. The registries lie above the configuration, so they are reached by name.
"""

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from pkgutil import resolve_name
from typing import Any, ClassVar, Self

from pydantic import Field, GetJsonSchemaHandler, create_model, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from raresmith.config.section import ConfigErrors, Section, refused, unknown_key
from raresmith.errors import ConfigError, Key


@cache
def table_of(parameters: type[Any], section: str) -> type[Section]:
    """The keys of a class of `Parameters` as a table of the file called `section`."""
    hints = typing.get_type_hints(parameters, include_extras=True)
    keys: dict[str, Any] = {}
    for field in dataclasses.fields(parameters):
        if field.default_factory is not dataclasses.MISSING:
            keys[field.name] = (hints[field.name], Field(default_factory=field.default_factory))
        else:
            keys[field.name] = (hints[field.name], ... if field.default is dataclasses.MISSING else field.default)
    table = create_model(parameters.__qualname__, __base__=Section, __doc__=parameters.__doc__, **keys)
    table.section, table.noted_in = section, parameters
    return table


def parameters_of(kind: type[Any], values: Mapping[str, Any], section: str) -> Any:
    """The `Parameters` of `kind` that `values` make; ConfigError with every mistake."""
    return kind.Parameters(**dict(table_of(kind.Parameters, section)(**values)))


def parameters_by_name(registry: Mapping[str, type[Any]], tables: Mapping[str, Any], section: str) -> dict[str, Any]:
    """The `Parameters` of each of `tables`, which are called as the registered things that they are for."""
    found: dict[str, Any] = {}
    mistakes: list[ConfigError] = []
    for name, table in tables.items():
        try:
            kind = registry[name]
            if isinstance(table, kind.Parameters):
                found[name] = table
            elif isinstance(table, dict):
                found[name] = parameters_of(kind, table, f"{section}.{name}")
            else:
                key = Key(f"{section}.{name}")
                mistakes.append(ConfigError("{key} must be a table, got {table!r}", key=key, table=table))
        except ConfigErrors as error:
            mistakes.extend(error.mistakes)
        except ConfigError as error:
            mistakes.append(ConfigError("{key}: {reason}", key=Key(section), reason=str(error)))
    if mistakes:
        raise refused(mistakes)
    return found


def _own(kind: type[Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(kind.Parameters)]


class Choice(Section):
    """A table in which one key names a registered thing, whose own keys stand beside the others.

    In Python they may be given as `parameters` as well.
    """

    chooser: ClassVar[str]
    """The key that names the thing."""
    registry: ClassVar[str]
    """Where the things are registered, as "module:name"."""

    parameters: SkipJsonSchema[Any] = Field(default=None, validate_default=True)

    @classmethod
    def registered(cls) -> Mapping[str, type[Any]]:
        """What the key can name."""
        found: Mapping[str, type[Any]] = resolve_name(cls.registry)
        return found

    @classmethod
    def available(cls) -> Mapping[str, type[Any]]:
        """Of these, all that can be imported here."""
        found: Mapping[str, type[Any]] = resolve_name(cls.registry).available()
        return found

    @property
    def kind(self) -> Any:
        """The thing that the key names."""
        return self.registered()[getattr(self, self.chooser)]

    @model_validator(mode="before")
    @classmethod
    def _own_keys_apart(cls, values: Any) -> Any:
        if isinstance(values, cls):
            return values
        shared = {name: value for name, value in values.items() if name in cls.model_fields}
        own = {name: value for name, value in values.items() if name not in cls.model_fields}
        given = shared.pop("parameters", None)
        if dataclasses.is_dataclass(given):
            own = {**vars(given), **own}
        elif given is not None:
            own["parameters"] = given
        chosen = shared.get(cls.chooser, cls.model_fields[cls.chooser].default)
        return {**shared, "parameters": (chosen, own)}

    @field_validator("parameters", mode="plain")
    @classmethod
    def _parameters(cls, chosen_and_own: tuple[Any, dict[str, Any]]) -> Any:
        chosen, own = chosen_and_own
        if not isinstance(chosen, str):
            return None  # and no text is a mistake of the key itself
        try:
            kind = cls.registered()[chosen]
        except ConfigError as error:
            named = ConfigError("{key}: {reason}", key=cls.key_of(cls.chooser), reason=str(error))
            raise refused([named]) from None
        if shared := sorted(cls.model_fields.keys() & set(_own(kind))):
            named = ConfigError(
                "{key} = {chosen!r} has keys {shared} of its own that all have; its distribution must rename them",
                key=cls.key_of(cls.chooser),
                chosen=chosen,
                shared=shared,
            )
            raise refused([named])
        mistakes = list(cls._not_its_own(own.keys() - set(_own(kind)), chosen, kind))
        try:
            parameters = parameters_of(kind, {name: own[name] for name in _own(kind) if name in own}, cls.section)
        except ConfigErrors as error:
            mistakes.extend(error.mistakes)
        except ConfigError as error:
            mistakes.append(error)
        if mistakes:
            raise refused(mistakes)
        return parameters

    @classmethod
    def _not_its_own(cls, names: set[str], chosen: str, kind: type[Any]) -> Iterator[ConfigError]:
        for name in sorted(names):
            owners = [other for other, its in cls.available().items() if name in _own(its)]
            if owners:
                yield ConfigError(
                    "{key} needs {chooser} = {owners}, got {chosen!r}; set that, or leave {key} out",
                    key=cls.key_of(name),
                    chooser=cls.key_of(cls.chooser),
                    owners=" or ".join(f'"{owner}"' for owner in owners),
                    chosen=chosen,
                )
            else:
                yield unknown_key(cls.section, name, [*(cls.model_fields.keys() - {"parameters"}), *_own(kind)])

    def replaced(self, **changes: Any) -> Self:
        """The section with other values; the keys of another thing than before have their defaults unless given."""
        kept = dict(self)
        if changes.get(self.chooser, kept[self.chooser]) != kept[self.chooser]:
            del kept["parameters"]
        return type(self)(**{**kept, **changes})

    def document(self) -> dict[str, Any]:
        """The values as the file could say them."""
        values = self.model_dump(exclude={"parameters"})
        return {**values, **dataclasses.asdict(self.parameters)}

    @classmethod
    def tables(cls) -> dict[str, type[Section]]:
        """The own keys of each thing, by its name."""
        return {name: table_of(kind.Parameters, cls.section) for name, kind in cls.available().items()}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        reference = super().__get_pydantic_json_schema__(core_schema, handler)
        schema = handler.resolve_ref_schema(reference)
        shared, required = schema.pop("properties"), schema.pop("required", [])
        usual = shared[cls.chooser]["default"]
        schema["oneOf"] = []
        for name, table in cls.tables().items():
            own = table.model_json_schema()
            schema["oneOf"].append(
                {
                    "title": name,
                    "properties": {**shared, cls.chooser: {**shared[cls.chooser], "const": name}, **own["properties"]},
                    # One that is not said is the usual one.
                    "required": [*required, *own.get("required", []), *([] if name == usual else [cls.chooser])],
                    "additionalProperties": schema["additionalProperties"],
                }
            )
        del schema["additionalProperties"]
        return reference

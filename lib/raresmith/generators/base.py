"""What is known of a generator without torch: its name, its own settings, and what can be asked of it."""

import types
from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from raresmith.errors import ConfigError, DataError


class Generator(ABC):
    """A kind of model that `refine` trains and that makes rows; one module of this package each.

    The networks are a subclass of `raresmith.gan.models.base.Model`, which `model` imports when they are needed.

    Attributes
    ----------
    name
        What `refine.model` calls it, and the column `model` of `refined`.
    title
        What the report calls it.
    learning_rate
        Adam's step size where the configuration names none.
    networks
        Where the torch class is, as "module:class".
    private_networks
        Where the one is that learns from real rows by differentially private gradients; empty where there is none.
    can_compile
        Whether torch.compile takes its training step.
    can_condition
        Whether it makes the other columns of a row of which some are given.
    starts_from_base
        Whether it is given the base rows of the synthetic rows, with their features, instead of these themselves.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    learning_rate: ClassVar[float] = 2e-4
    networks: ClassVar[str]
    private_networks: ClassVar[str] = ""
    can_compile: ClassVar[bool] = True
    can_condition: ClassVar[bool] = False
    starts_from_base: ClassVar[bool] = False

    @dataclass(frozen=True, kw_only=True)
    class Parameters:
        """Its own keys of `[refine]`: none."""

    @classmethod
    def can_train_privately(cls) -> bool:
        """Whether it goes with `[refine.privacy]`."""
        return bool(cls.private_networks)

    @classmethod
    def model(cls, *, private: bool = False) -> type[Any]:
        """The torch class, or the one that trains privately."""
        module, _, name = (cls.private_networks if private else cls.networks).partition(":")
        found: type[Any] = getattr(import_module(module), name)
        return found

    @classmethod
    def read_parameters(cls, document: Mapping[str, Any]) -> Any:
        """Its `Parameters` of what a saved model's card says of `refine`, which anyone may have written.

        Raises
        ------
        DataError
            If one is missing, of another kind or refused; the message goes on from the model's place.
        """
        hints = get_type_hints(cls.Parameters)
        found = {f.name: _read(document.get(f.name), hints[f.name], f.name) for f in fields(cls.Parameters)}
        try:
            return cls.Parameters(**found)
        except ConfigError as error:
            raise DataError(f"has settings that cannot be: {error}") from None

    @classmethod
    def called(cls, parameters: Any, latent: str) -> str:
        """What the column `model` of `refined` says of a model with its `parameters`, started from `latent`."""
        # One that comes in a single size is called small.
        return f"{cls.name}, {getattr(parameters, 'architecture', 'small')}, from {latent}"


def _read(value: Any, hint: Any, name: str) -> Any:
    """`value`, as JSON has it, as the type `hint`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple and isinstance(value, list):
        return tuple(_read(item, arguments[0], name) for item in value)
    # The type too, for True equals 1.
    if origin is Literal and any(type(value) is type(known) and value == known for known in arguments):
        return value
    if type(value) in (arguments if origin in (Union, types.UnionType) else (hint,)):
        return value
    expected = f"one of {[*arguments]}" if arguments else hint.__name__
    raise DataError(f"has {value!r} as {name} where {expected} is expected")

"""What can be named in a configuration: the classes of a package's own modules, and those that other packages bring.

A module of the package is enough to add one; nothing lists them. Another distribution adds one by an entry point whose
name is the class's `name`:

    [project.entry-points."raresmith.oversamplers"]
    mine = "my_package.oversampling:Mine"
"""

import difflib
import inspect
import logging
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from raresmith.errors import ConfigError

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class Registry(Mapping[str, type[T]], Generic[T]):
    """The concrete subclasses of `kind` by their class attribute `name`, in alphabetical order.

    Parameters
    ----------
    kind : type
        What they all are.
    package : str
        The package in whose modules the built-in ones are found; they are imported when the first one is asked for.
    group : str
        The entry-point group of those that other distributions bring; each is imported when it is asked for by name.
    reserved : tuple of str
        Names that mean something else where these are named.
    """

    def __init__(self, kind: type[T], package: str, group: str, reserved: tuple[str, ...] = ()) -> None:
        self._kind, self._package, self.group, self._reserved = kind, package, group, reserved

    @cached_property
    def _built_in(self) -> dict[str, type[T]]:
        found: dict[str, type[T]] = {}
        for module in pkgutil.iter_modules(import_module(self._package).__path__, f"{self._package}."):
            for _, member in inspect.getmembers(import_module(module.name), inspect.isclass):
                if issubclass(member, self._kind) and member.__module__ == module.name and "name" in vars(member):
                    found[str(vars(member)["name"])] = member
        return found

    @cached_property
    def _brought(self) -> dict[str, EntryPoint]:
        points = set(entry_points(group=self.group))
        found = {point.name: point for point in points}
        if taken := sorted(found.keys() & {*self._built_in, *self._reserved}):
            raise ConfigError(f"the entry points {taken} of {self.group} have names of raresmith's own; rename them")
        if twice := sorted({point.name for point in points if point != found[point.name]}):
            raise ConfigError(f"several distributions bring the entry points {twice} of {self.group}; uninstall one")
        return found

    def __getitem__(self, name: str) -> type[T]:
        """The class called `name`; ConfigError where there is none, or its package cannot be imported."""
        if name in self._built_in:
            return self._built_in[name]
        if name not in self._brought:
            near = difflib.get_close_matches(name, list(self), 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{name!r} is none of {list(self)}{hint}")
        try:
            found = self._brought[name].load()
        except Exception as error:  # whatever a module of another distribution raises
            raise ConfigError(f"{name!r}, an entry point of {self.group}, cannot be imported: {error}") from error
        if not (inspect.isclass(found) and issubclass(found, self._kind) and getattr(found, "name", None) == name):
            raise ConfigError(
                f"the entry point {name!r} of {self.group} must be a subclass of {self._kind.__name__} whose name is "
                f"{name!r}, got {self._brought[name].value}"
            )
        return found

    def available(self) -> dict[str, type[T]]:
        """Those that can be imported; a warning is logged of the others, for they are not what was asked for."""
        found: dict[str, type[T]] = {}
        for name in self:
            try:
                found[name] = self[name]
            except ConfigError as error:
                _LOG.warning("%s", error)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._built_in or name in self._brought

    def __iter__(self) -> Iterator[str]:
        return iter(sorted([*self._built_in, *self._brought]))

    def __len__(self) -> int:
        return len(self._built_in) + len(self._brought)

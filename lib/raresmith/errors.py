"""The errors of our own; every other exception is a bug or the machine's."""

from collections.abc import Callable
from typing import Any, Self


class Key(str):
    """The name of a setting as the configuration file spells it, such as "oversample.k_neighbors"."""


class RaresmithError(Exception):
    """What the command line prints as one sentence, ending with exit code 2.

    Parameters
    ----------
    message : str
        The sentence; where there are `fields`, a template for `str.format` with them.
    fields
        What the sentence is about, for who catches it to read. A `Key` is spelt by the door that tells the error.
    """

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.message, self.fields = message, fields

    def spelt(self, spell: Callable[[Key], str]) -> Self:
        """The same error, with each `Key` as `spell` has it."""
        fields = {name: Key(spell(v)) if isinstance(v, Key) else v for name, v in self.fields.items()}
        return type(self)(self.message, **fields)

    def __str__(self) -> str:
        return self.message.format(**self.fields) if self.fields else self.message


class ConfigError(RaresmithError):
    """The configuration file says something that cannot be run; the message names the key as the user wrote it."""


class DataError(RaresmithError):
    """The data does not allow what the configuration asks; the message names the column or table and the count."""


class NothingToMake(DataError):
    """No rows can or need be made of a class: an error of a whole table, but no error of one day's rows."""


class EngineError(RaresmithError):
    """Spark was stopped by something with a remedy, which the message names."""


class StorageError(RaresmithError):
    """A disk, a bucket or a permission is in the way of the tables; the message has the first cause."""

    @classmethod
    def of(cls, stage: str, cause: str) -> Self:
        """That `stage` was stopped by `cause`, which who holds the tables says."""
        return cls(
            "{stage} cannot go on with its tables: {cause}; mend that, then run it again", stage=stage, cause=cause
        )

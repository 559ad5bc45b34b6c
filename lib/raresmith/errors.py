"""The errors of our own; every other exception is a bug or the machine's."""


class RaresmithError(Exception):
    """What the command line prints as one sentence, ending with exit code 2."""


class ConfigError(RaresmithError):
    """The configuration file says something that cannot be run; the message names the key as the user wrote it."""


class DataError(RaresmithError):
    """The data does not allow what the configuration asks; the message names the column or table and the count."""


class NothingToMake(DataError):
    """No rows can or need be made of a class: an error of a whole table, but no error of one day's rows."""

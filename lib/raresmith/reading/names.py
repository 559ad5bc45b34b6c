"""The names of a table's columns as its file has them."""

from collections import Counter
from collections.abc import Sequence

from raresmith.errors import DataError


def check_names(names: Sequence[str], subject: str, own: str) -> None:
    """Refuse names by which columns cannot be told apart.

    Parameters
    ----------
    subject : str
        What has the names, such as "the header of a.csv".
    own : str
        A name that raresmith adds itself.

    Raises
    ------
    DataError
        If a name is blank, stands there more than once in whatever case, or is `own`.
    """
    if unnamed := [str(i) for i, name in enumerate(names, 1) if not name.strip()]:
        raise DataError(
            f"{subject} has no name for column {', '.join(unnamed)} (pandas writes its index so, unless "
            "told index=False); name it, or write the file without it"
        )
    times = Counter(name.lower() for name in names)
    if twice := [name for name in dict.fromkeys(names) if times[name.lower()] > 1]:
        told = "more than once" if len(twice) == 1 else "which differ only in case"
        raise DataError(f"{subject} names {' and '.join(map(repr, twice))}, {told}; rename one")
    if own in times:
        raise DataError(f"{subject} names {own!r}, which raresmith adds itself; rename it")

"""How many rows of each class to make or keep, as imbalanced-learn's `sampling_strategy` defines it."""

from collections.abc import Collection, Mapping

from raresmith.errors import DataError, Key, NothingToMake

_SAMPLING = Key("oversample.sampling_strategy")
_UNDERSAMPLING = Key("oversample.undersampling_strategy")


def rows_to_make(counts: Mapping[str, int], strategy: float | str | dict[str, int]) -> dict[str, int]:
    """Rows to make for each targeted class, 0 where the class has as many as wished.

    Parameters
    ----------
    counts
        Train rows of each class, by its text. Of classes with equally many rows the first is the minority or majority.
    strategy
        `oversample.sampling_strategy`: minority ÷ majority after resampling (two classes); "minority",
        "not minority", "not majority", "all" or "auto" (= "not majority"), which bring the named classes to the size
        of the largest; or the wished number of rows of each class.

    Raises
    ------
    NothingToMake
        If fewer than two classes have rows, or the share is reached already.
    DataError
        If a share is asked for with more than two classes, if a class is named that has no rows, or if fewer rows are
        wished than there are.
    """
    counts = {name: count for name, count in counts.items() if count > 0}
    if len(counts) < 2:
        found = f"only class {next(iter(counts))!r}" if counts else "no class at all"
        raise NothingToMake(
            "the train rows hold {found}, and oversampling needs rows of at least two; check {label} and the split, or "
            "give the run a table with minority rows",
            found=found,
            label=Key("source.label"),
        )
    majority, minority = max(counts, key=lambda name: counts[name]), min(counts, key=lambda name: counts[name])
    if isinstance(strategy, dict):
        return _wished(counts, strategy)
    if isinstance(strategy, str):
        names = _named("not majority" if strategy == "auto" else strategy, counts, minority, majority)
        return {name: counts[majority] - counts[name] for name in names}
    return _share(counts, majority, strategy)


def rows_to_keep(counts: Mapping[str, int], strategy: float | str | dict[str, int]) -> dict[str, int]:
    """Rows to keep of each targeted class.

    Parameters
    ----------
    counts
        Rows of each class, by its text, after oversampling.
    strategy
        `oversample.undersampling_strategy`.

    Raises
    ------
    DataError
        If a share is asked for with more than two classes, if a class is named that has no rows, or if more rows are
        wished than there are.
    """
    counts = {name: count for name, count in counts.items() if count > 0}
    majority, minority = max(counts, key=lambda name: counts[name]), min(counts, key=lambda name: counts[name])
    key = _UNDERSAMPLING
    if isinstance(strategy, str):
        names = _named("not minority" if strategy == "auto" else strategy, counts, minority, majority)
        return dict.fromkeys(names, counts[minority])
    if isinstance(strategy, dict):
        if unknown := [name for name in strategy if name not in counts]:
            raise DataError(
                "{key} names {unknown}, of which there are no rows; classes with rows are {classes}",
                key=key,
                unknown=unknown,
                classes=list(counts),
            )
        wanted = dict(strategy)
    elif len(counts) > 2:
        raise DataError(
            "{key} = {strategy} is a share of two classes but there are {n}: {classes}; give a table of rows per class "
            "instead",
            key=key,
            strategy=strategy,
            n=len(counts),
            classes=list(counts),
        )
    else:
        wanted = {name: int(counts[minority] / strategy) for name in counts if name != minority}
    for name, wished in wanted.items():
        if wished > counts[name]:
            raise DataError(
                "{key} wishes to keep {wished} rows of class {name!r} but there are {there}; undersampling adds no "
                "rows, wish at most as many",
                key=key,
                wished=wished,
                name=name,
                there=counts[name],
            )
    return wanted


def for_batch(
    strategy: float | str | dict[str, int], counts: Mapping[str, int], classes: Collection[str]
) -> float | str | dict[str, int]:
    """The strategy for a batch, which may hold more rows of a class than are wished, or none: it gets no rows then."""
    if not isinstance(strategy, dict):
        return strategy
    present = {name: wished for name, wished in strategy.items() if name not in classes or counts.get(name)}
    return {name: max(wished, counts.get(name, 0)) for name, wished in present.items()}


def _named(word: str, counts: Mapping[str, int], minority: str, majority: str) -> list[str]:
    """The classes that a word of imbalanced-learn means."""
    return {
        "none": [],
        "minority": [minority],
        "majority": [majority],
        "not minority": [name for name in counts if name != minority],
        "not majority": [name for name in counts if name != majority],
        "all": list(counts),
    }[word]


def _wished(counts: Mapping[str, int], strategy: dict[str, int]) -> dict[str, int]:
    if unknown := [name for name in strategy if name not in counts]:
        raise DataError(
            "{key} names {unknown}, of which there are no train rows; classes with train rows are {classes}",
            key=_SAMPLING,
            unknown=unknown,
            classes=list(counts),
        )
    for name, wished in strategy.items():
        if wished < counts[name]:
            raise DataError(
                "{key} wishes {wished} rows of class {name!r} but there are {there}; oversampling takes no rows away, "
                "wish at least as many",
                key=_SAMPLING,
                wished=wished,
                name=name,
                there=counts[name],
            )
    return {name: strategy[name] - counts[name] for name in counts if name in strategy}


def _share(counts: Mapping[str, int], majority: str, strategy: float) -> dict[str, int]:
    if len(counts) > 2:
        raise DataError(
            "{key} = {strategy} is a share of two classes but the train rows hold {n}: {classes}; give a table of rows "
            "per class instead",
            key=_SAMPLING,
            strategy=strategy,
            n=len(counts),
            classes=list(counts),
        )
    (name,) = (name for name in counts if name != majority)
    made = int(counts[majority] * strategy - counts[name])
    if made < 0:
        raise NothingToMake(
            "{key} = {strategy} wishes {wished:.0f} rows of class {name!r} but there are {there} already; raise it "
            "above {share:.4g}",
            key=_SAMPLING,
            strategy=strategy,
            wished=counts[majority] * strategy,
            name=name,
            there=counts[name],
            share=counts[name] / counts[majority],
        )
    return {name: made}

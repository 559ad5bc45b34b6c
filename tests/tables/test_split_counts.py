"""What is said of a split, and which one is refused."""

import dataclasses
import json

import pytest

from raresmith.errors import DataError
from raresmith.tables.split_counts import SplitCounts, require_judged

OF_CARD = SplitCounts(
    rows={"train": {"0": 800, "1": 52}, "validation": {"0": 3}, "test": {"0": 140, "1": 5}},
    fractions=(0.6, 0.2, 0.2),
    entity="card",
    together=600,
)


def test_shares_far_from_those_asked_for_are_said_with_the_most_rows_that_stay_together() -> None:
    shares, lacking = OF_CARD.words()
    assert shares == (
        "train, validation and test have 85.2 / 0.3 / 14.5 % of the rows where split.fractions asks for 60 / 20 / 20 "
        "%, which is as near as whole values of 'card' can be cut: one has up to 60 % of the rows"
    )
    assert lacking == "class '1' has no row in validation, so that it cannot be judged"
    few = SplitCounts(rows={"train": {"a": 1}, "validation": {"a": 1}, "test": {"a": 1}}, fractions=(0.6, 0.2, 0.2))
    assert few.words() == [
        "train, validation and test have 33.3 / 33.3 / 33.3 % of the rows where split.fractions asks for 60 / 20 / 20 "
        "%, which is as near as they can be cut"
    ]


@pytest.mark.parametrize(
    ("rows", "fractions"),
    [
        ((616, 190, 194), (0.6, 0.2, 0.2)),
        ((975, 15, 10), (0.97, 0.02, 0.01)),
        ((900, 1, 99), ()),  # by days nothing is asked for
        ((0, 0, 0), (0.6, 0.2, 0.2)),
    ],
)
def test_of_shares_near_those_asked_for_nothing_is_said(rows: tuple[int, ...], fractions: tuple[float, ...]) -> None:
    counts = dict(zip(("train", "validation", "test"), ({"a": n} for n in rows), strict=True))
    assert SplitCounts(rows=counts, fractions=fractions).far_shares() == []


def test_a_small_share_is_far_where_half_of_it_lacks() -> None:
    rows = {"train": {"a": 985}, "validation": {"a": 9}, "test": {"a": 6}}
    assert SplitCounts(rows=rows, fractions=(0.96, 0.02, 0.02)).far_shares()


def test_the_note_of_a_run_says_the_same() -> None:
    measures = json.loads(json.dumps({"split": dataclasses.asdict(OF_CARD)}))
    assert SplitCounts.of(measures).words() == OF_CARD.words()
    assert SplitCounts.of({}).words() == []


def test_a_split_without_the_judged_class_or_without_the_others_is_refused() -> None:
    both = {"0": 3, "1": 2}
    with pytest.raises(DataError, match=r"the validation split has no positive rows \(class '1' of column 'y\{\}'"):
        require_judged(OF_CARD.rows, "y{}", "1")
    with pytest.raises(
        DataError, match=r"the test split has no negative rows .* among its 2, so nothing can be judged"
    ):
        require_judged({"train": both, "validation": both, "test": {"1": 2}}, "y", "1")
    require_judged({"train": both, "validation": both, "test": both}, "y", "1")

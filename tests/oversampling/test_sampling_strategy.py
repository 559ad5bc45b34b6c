import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imblearn.utils import check_sampling_strategy

from raresmith.errors import DataError
from raresmith.oversampling.sampling_strategy import rows_to_keep, rows_to_make

WORDS = ["minority", "not minority", "not majority", "all", "auto"]


def of_imblearn(
    strategy: str | float | dict[str, int], counts: dict[str, int], sampling: str = "over-sampling"
) -> dict[str, int]:
    y = np.repeat(np.array(list(counts)), list(counts.values()))
    return {str(name): int(n) for name, n in check_sampling_strategy(strategy, y, sampling).items()}


def classes(least: int, most: int) -> st.SearchStrategy[dict[str, int]]:
    return st.lists(st.integers(1, 60), min_size=least, max_size=most).map(
        lambda counts: {f"c{i}": count for i, count in enumerate(counts)}
    )


@given(strategy=st.sampled_from(WORDS), counts=classes(2, 5))
def test_words_mean_what_they_mean_in_imbalanced_learn(strategy: str, counts: dict[str, int]) -> None:
    assert rows_to_make(counts, strategy) == of_imblearn(strategy, counts)


@given(strategy=st.floats(0.01, 1), counts=classes(2, 2))
def test_a_share_means_what_it_means_in_imbalanced_learn(strategy: float, counts: dict[str, int]) -> None:
    try:
        expected = of_imblearn(strategy, counts)
    except ValueError:
        # imbalanced-learn refuses when there is nothing to make, too; here that is an empty table.
        try:
            assert set(rows_to_make(counts, strategy).values()) == {0}
        except DataError:
            assert max(counts.values()) * strategy < min(counts.values())
    else:
        assert rows_to_make(counts, strategy) == expected


@given(counts=classes(2, 5), data=st.data())
def test_a_table_of_counts_means_what_it_means_in_imbalanced_learn(counts: dict[str, int], data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from([*counts, "unknown"]), min_size=1, unique=True))
    strategy = {name: data.draw(st.integers(0, 90)) for name in names}
    try:
        expected = of_imblearn(strategy, counts)
    except ValueError:
        with pytest.raises(DataError):
            rows_to_make(counts, strategy)
    else:
        assert rows_to_make(counts, strategy) == expected


@pytest.mark.parametrize(("strategy", "made"), [(0.5, 40), (1.0, 90), (0.1, 0), ({"fraud": 10}, 0), ({"fraud": 11}, 1)])
def test_ten_frauds_beside_a_hundred_rows(strategy: float | dict[str, int], made: int) -> None:
    assert rows_to_make({"fine": 100, "fraud": 10}, strategy) == {"fraud": made}


@pytest.mark.parametrize(
    ("strategy", "counts", "words"),
    [
        (0.05, {"fine": 100, "fraud": 10}, "wishes 5 rows of class 'fraud' but there are 10 already"),
        (0.5, {"a": 9, "b": 5, "c": 2}, "share of two classes but the train rows hold 3"),
        ({"fraud": 9}, {"fine": 100, "fraud": 10}, "wishes 9 rows of class 'fraud' but there are 10"),
        ({"theft": 9}, {"fine": 100, "fraud": 10}, r"names \['theft'\].*classes with train rows are"),
        ({"fraud": 9}, {"fine": 100, "sad": 4, "fraud": 0}, "names"),
        ("auto", {"fine": 100, "fraud": 0}, "hold only class 'fine'"),
        ("auto", {}, "hold no class at all"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_sentence(
    strategy: str | float | dict[str, int], counts: dict[str, int], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        rows_to_make(counts, strategy)


@given(strategy=st.sampled_from(["majority", "not minority", "not majority", "all", "auto"]), counts=classes(2, 5))
def test_words_of_undersampling_mean_what_they_mean_in_imbalanced_learn(strategy: str, counts: dict[str, int]) -> None:
    assert rows_to_keep(counts, strategy) == of_imblearn(strategy, counts, "under-sampling")


@given(strategy=st.floats(0.01, 1), counts=classes(2, 2))
def test_a_share_of_undersampling_means_what_it_means_in_imbalanced_learn(
    strategy: float, counts: dict[str, int]
) -> None:
    try:
        expected = of_imblearn(strategy, counts, "under-sampling")
    except ValueError:
        with pytest.raises(DataError, match="wish at most as many"):
            rows_to_keep(counts, strategy)
    else:
        assert rows_to_keep(counts, strategy) == expected


@given(counts=classes(2, 5), data=st.data())
def test_counts_to_keep_mean_what_they_mean_in_imbalanced_learn(counts: dict[str, int], data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from([*counts, "unknown"]), min_size=1, unique=True))
    strategy = {name: data.draw(st.integers(0, 90)) for name in names}
    try:
        expected = of_imblearn(strategy, counts, "under-sampling")
    except ValueError:
        with pytest.raises(DataError):
            rows_to_keep(counts, strategy)
    else:
        assert rows_to_keep(counts, strategy) == expected


def test_a_share_of_more_than_two_classes_cannot_be_kept() -> None:
    with pytest.raises(DataError, match="share of two classes but there are 3"):
        rows_to_keep({"a": 9, "b": 5, "c": 2}, 0.5)
    assert rows_to_keep({"a": 9, "b": 5, "c": 2}, "none") == {}

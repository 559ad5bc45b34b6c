from collections.abc import Callable

import numpy as np
import pytest
from deltalake import DeltaTable, write_deltalake
from tests.delta_rows import delta_rows
from tests.gan.conftest import Warehouse

from raresmith.gan.training.judge import MOST_MADE, MOST_OTHERS, Judge, Labelled, read_judge

NUMBERS = np.array([False, False])


def rows(label: int, n: int, shift: float, seed: int) -> Labelled:
    features = np.random.default_rng(seed).normal(shift, 1, (n, 2))
    return Labelled(features, np.full(n, label))


def together(*parts: Labelled) -> Labelled:
    return Labelled(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


@pytest.fixture(scope="module")
def judge() -> Judge:
    train, validation = (together(rows(1, 300, 2.0, seed), rows(-1, 900, 0.0, seed + 1)) for seed in (0, 2))
    return Judge(train, validation, NUMBERS)


def test_rows_of_the_same_distribution_cannot_be_told_apart_and_others_can(judge: Judge) -> None:
    assert abs(judge(rows(1, 300, 2.0, 9)).auc - 0.5) < 0.08
    assert judge(rows(1, 300, 2.7, 9)).auc > 0.65
    assert judge(rows(1, 300, 8.0, 9)).auc > 0.99


def test_a_row_that_is_like_those_of_another_class_is_told_apart() -> None:
    both = together(rows(1, 200, 0.0, 0), rows(2, 200, 4.0, 1), rows(-1, 50, 9.0, 2))
    judge = Judge(both, both, NUMBERS)
    right = together(rows(1, 200, 0.0, 5), rows(2, 200, 4.0, 6))
    assert abs(judge(right).auc - 0.5) < 0.1
    assert judge(Labelled(right.features, right.labels[::-1])).auc > 0.9


def of_entities(label: int, n: int, entities: range, shift: float, seed: int) -> Labelled:
    """Rows of a few entities: two columns of their own, and two columns that are the same for all."""
    random = np.random.default_rng(seed)
    of_entity = np.random.default_rng(7).normal(0, 1, (100, 2))[random.choice(entities, n)]
    return Labelled(np.c_[of_entity[:, :1], random.normal(shift, 1, (n, 2)), of_entity[:, 1:]], np.full(n, label))


def test_columns_that_tell_real_train_rows_from_validation_rows_are_left_out() -> None:
    train, validation = (
        together(of_entities(1, 300, entities, 2.0, seed), of_entities(-1, 300, entities, 0.0, seed + 1))
        for entities, seed in ((range(60), 0), (range(60, 100), 2))
    )
    judge = Judge(train, validation, np.full(4, False))
    assert judge.compared.tolist() == [False, True, True, False]
    assert abs(judge.ceiling - 0.5) < 0.1
    # By all columns both would be told at once.
    assert abs(judge(of_entities(1, 300, range(60), 2.0, 9)).auc - 0.5) < 0.1
    assert judge(of_entities(1, 300, range(60), 3.0, 9)).auc > 0.7


def test_where_all_columns_tell_them_all_stay_and_the_ceiling_says_it() -> None:
    train, validation = (together(rows(1, 200, shift, 0), rows(-1, 50, 0.0, 1)) for shift in (0.0, 5.0))
    judge = Judge(train, validation, NUMBERS)
    assert judge.compared.all() and judge.ceiling > 0.95


@pytest.mark.parametrize("n", [20, 60, 300])
def test_chance_leaves_no_column_out(n: int) -> None:
    for seed in range(5):
        train, validation = (together(rows(1, n, 0.0, 2 * seed + i), rows(-1, n, 0.0, 90)) for i in (0, 1))
        assert Judge(train, validation, NUMBERS).compared.all()


def test_rows_of_the_wrong_place_cost_average_precision(judge: Judge) -> None:
    helpful, harmful = (judge(rows(1, 900, shift, 9)).average_precision for shift in (2.0, 0.0))
    assert helpful - harmful > 0.05


def test_average_precision_is_one_where_the_classes_lie_apart() -> None:
    apart = together(rows(1, 50, 40.0, 0), rows(2, 50, -40.0, 1), rows(-1, 50, 0.0, 2))
    assert Judge(apart, apart, NUMBERS)(rows(1, 30, 40.0, 3)).average_precision == 1


def test_the_distance_counts_standard_deviations_and_categories_that_differ() -> None:
    # The number has the standard deviation 2; the last column says nothing, and the row of another class is far nearer.
    train = Labelled(np.array([[0.0, 0, 7], [4.0, 1, 7], [1.0, 1, 7]]), np.array([1, 1, -1]))
    judge = Judge(train, train, np.array([False, True, False]))
    assert judge.distance(np.array([[1.0, 1, 7]])) == pytest.approx(np.sqrt(1 / 4 + 1))
    assert judge.distance(np.array([[4.0, 1, 7], [4.0, 0, 7], [6.0, 1, 7]])) == pytest.approx(1)
    assert judge.held_out_distance == 0


def test_the_same_rows_are_judged_the_same(judge: Judge) -> None:
    assert judge(rows(1, 100, 1.5, 9)) == judge(rows(1, 100, 1.5, 9))


def read_or_none(house: Warehouse, made: dict[int, int] | None = None) -> Judge | None:
    names = house.encoder.names
    is_category = np.array([feature.kind == "categorical" for feature in house.encoder.features])
    return read_judge(DeltaTable(house.table("features")), names, is_category, made or {1: 100})


def read(house: Warehouse, made: dict[int, int] | None = None) -> Judge:
    judge = read_or_none(house, made)
    assert judge is not None
    return judge


def test_a_judge_reads_train_and_validation_rows_and_never_one_of_the_test_split(
    warehouse: Callable[..., Warehouse],
) -> None:
    house = warehouse(
        real={0: 60, 1: 40, 2: 30}, validation={0: 25, 1: 22, 2: 3}, categorical=1, classes=("a", "b", "c")
    )
    judge = read(house)
    for sample, counts in ((judge.train, {-1: 90, 1: 40}), (judge.validation, {-1: 28, 1: 22})):
        assert dict(zip(*(a.tolist() for a in np.unique(sample.labels, return_counts=True)), strict=True)) == counts
        assert np.isfinite(sample.features).all()  # those of the test split are NaN
    several = read(house, {1: 100, 2: 100})
    assert np.unique(several.validation.labels, return_counts=True)[1].tolist() == [25, 22, 3]


def test_there_is_no_judge_below_twenty_pairs_of_a_made_and_a_validation_row_of_a_class(
    warehouse: Callable[..., Warehouse],
) -> None:
    assert read_or_none(warehouse(validation={0: 100, 1: 19})) is None
    house = warehouse(validation={0: 100, 1: 20}, name="enough")
    assert read_or_none(house) is not None
    assert read_or_none(house, {1: 19}) is None
    assert read_or_none(house, {0: 5, 1: 14}) is None
    assert read_or_none(house, {0: 5, 1: 15}) is not None


def test_samples_are_capped_and_the_same_for_any_order_of_the_rows(warehouse: Callable[..., Warehouse]) -> None:
    counts = {0: 2 * MOST_OTHERS, 1: 2 * MOST_MADE}
    house = warehouse(real=counts, validation=counts)
    first = read(house)
    write_deltalake(house.table("features"), delta_rows(house.table("features"))[::-1], mode="overwrite")
    second = read(house)
    for one, two in ((first.train, second.train), (first.validation, second.validation)):
        assert len(one.labels) == MOST_OTHERS + MOST_MADE
        assert np.array_equal(one.features, two.features)
        assert np.array_equal(one.labels, two.labels)


def test_a_validation_row_may_have_a_code_that_no_train_row_has(warehouse: Callable[..., Warehouse]) -> None:
    house = warehouse(validation={0: 50, 1: 30}, categorical=1)
    table = delta_rows(house.table("features"))
    strange = np.where(table["split"].to_numpy(zero_copy_only=False) == "validation", 4, table["c0"].to_numpy())
    write_deltalake(
        house.table("features"), table.drop("c0").append_column("c0", [strange.astype(np.float32)]), mode="overwrite"
    )
    assert (read(house).validation.features[:, -1] == 4).all()

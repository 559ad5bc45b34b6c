from typing import Literal

import numpy as np
import pytest
import torch

from raresmith.encoding.encoder import CategoricalFeature, Encoder, Label, NumericFeature
from raresmith.errors import DataError
from raresmith.gan.data.representation import Representation

LABEL = Label(name="class", type="string", classes=("good", "bad"), positive="bad")


def numeric(
    name: str, low: float = -1.0, high: float = 2.0, storage: Literal["float", "double"] = "float"
) -> NumericFeature:
    return NumericFeature(
        name=name, source=name, type="double", transform="linear", center=0.0, scale=1.0, low=low, high=high,
        impute=0.0, step=0.0, storage=storage, encoded_low=low, encoded_high=high,
    )  # fmt: skip


def categorical(name: str, seen: tuple[int, ...]) -> CategoricalFeature:
    return CategoricalFeature(name=name, source=name, type="string", categories=("x", "y", "z"), seen=seen)


@pytest.fixture
def mixed() -> Representation:
    features = (categorical("c", (0, 2, 4)), numeric("a"), categorical("k", (3,)), numeric("b", storage="double"))
    return Representation(Encoder(features=features, label=LABEL, raw_schema="{}"))


COLUMNS = {
    "c": np.array([4, 0, 2], np.float32),
    "a": np.array([0.5, -1.0, 2.0], np.float32),
    "k": np.array([3, 3, 3], np.float32),
    "b": np.array([0.25, 1.5, -0.75]),
}


def test_a_table_of_numbers_has_as_many_inputs_as_columns() -> None:
    encoder = Encoder(features=tuple(numeric(f"V{i}") for i in range(29)), label=LABEL, raw_schema="{}")
    assert Representation(encoder).width == 29


def test_rows_are_numbers_then_one_place_for_each_seen_code(mixed: Representation) -> None:
    rows = mixed.join(*mixed.split(COLUMNS, "t"))
    assert rows.tolist() == [[0.5, 0.25, 0, 0, 1, 1], [-1, 1.5, 1, 0, 0, 1], [2, -0.75, 0, 1, 0, 1]]


def test_columns_gives_back_what_split_took(mixed: Representation) -> None:
    found = mixed.columns(mixed.join(*mixed.split(COLUMNS, "t")))
    assert list(found) == ["c", "a", "k", "b"]
    for name, values in COLUMNS.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype


def test_only_seen_codes_come_out_whatever_the_network_says(mixed: Representation) -> None:
    generator = torch.Generator().manual_seed(0)
    raw, gumbel = (10 * torch.randn(500, n, generator=generator) for n in (mixed.width, 4))
    rows, outside = mixed.clamp(mixed.activate(raw, gumbel))
    found = mixed.columns(rows)
    assert set(found["c"].tolist()) == {0, 2, 4}
    assert set(found["k"].tolist()) == {3}
    assert found["a"].min() == -1 and found["a"].max() == 2
    assert outside == int(((raw[:, :2] < -1) | (raw[:, :2] > 2)).sum())


def test_a_category_is_drawn_with_the_probability_of_its_logit(mixed: Representation) -> None:
    logits = torch.tensor([0.0, 0.0, 0.0, np.log(3.0), 0.0, 0.0]).expand(40_000, -1)
    uniform = torch.rand(40_000, 4, generator=torch.Generator().manual_seed(0))
    rows = mixed.activate(logits, -torch.log(-torch.log(uniform)))
    assert rows[:, 2:5].mean(0).tolist() == pytest.approx([0.2, 0.6, 0.2], abs=0.01)


def test_gradients_pass_the_drawn_category(mixed: Representation) -> None:
    raw = torch.zeros(4, mixed.width, requires_grad=True)
    rows = mixed.activate(raw, torch.zeros(4, 4))
    assert set(rows[:, 2:].flatten().tolist()) == {0.0, 1.0}
    (rows * torch.arange(6.0)).sum().backward()
    assert (raw.grad[:, 2:5] != 0).any()


def test_a_number_that_is_not_finite_is_refused_by_name(mixed: Representation) -> None:
    bad = {**COLUMNS, "b": np.array([0.0, np.nan, 0.0])}
    with pytest.raises(DataError, match="column b of the_table has null, NaN or infinite values"):
        mixed.split(bad, "the_table")


def test_a_code_that_train_rows_do_not_have_is_refused_by_name(mixed: Representation) -> None:
    bad = {**COLUMNS, "c": np.array([4, 3, 9], np.float32)}
    with pytest.raises(DataError, match=r"column c of the_table has codes \[3.0, 9.0\]"):
        mixed.split(bad, "the_table")

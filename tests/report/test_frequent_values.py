"""Shares of the values that many rows have, real ones and made ones."""

import dataclasses

import numpy as np
from tests.report.test_page import data, encoder

from raresmith.encoding.encoder import CategoricalFeature, Encoder, NumericFeature, state_categories
from raresmith.report.frequent_values import MOST, frequent_values
from raresmith.report.page import render_report


def stated(names: tuple[str, ...]) -> Encoder:
    """Numbers that are 0, or none, or something else."""
    plain, masses = encoder(), ("0",)
    number = plain.features[0]
    assert isinstance(number, NumericFeature)
    numbers = [dataclasses.replace(number, name=f"{n}_n", source=n, state=f"{n}_state", masses=masses) for n in names]
    states = [
        CategoricalFeature(
            name=f"{n}_state", source="", type="string", categories=state_categories(masses), seen=(2, 3, 4), made=True
        )
        for n in names
    ]
    return dataclasses.replace(plain, features=(*numbers, *states))


def rows(*states: float) -> np.ndarray:
    return np.array([[0.0, state] for state in states])


def test_shares_are_counted_and_the_widest_gap_comes_first() -> None:
    samples = {"real": rows(2, 2, 3, 4), "smote": rows(2, 4, 4, 4), "refined": rows(2, 2, 4, 4)}
    zero, none = frequent_values(samples, stated(("a<b>",)))
    assert zero == ("a<b>", "0", {"real": 0.25, "smote": 0.75, "refined": 0.5}) and zero.farthest == 0.5
    assert none == ("a<b>", "no value", {"real": 0.25, "smote": 0, "refined": 0})


def test_what_no_row_has_is_left_out_and_of_wide_tables_all_but_the_first() -> None:
    assert frequent_values({"real": rows(2, 2), "smote": rows(2, 2)}, stated(("x",))) == []
    assert frequent_values({"real": rows(4)}, stated(("x",))) == []
    wide = stated(tuple(f"x{i}" for i in range(30)))
    real, made = np.full((4, 60), 4.0), np.full((4, 60), 4.0)
    made[:2, 59] = 2
    found = frequent_values({"real": real, "smote": made}, wide)
    assert len(found) == MOST and found[0].column == "x29"


def test_the_page_shows_them() -> None:
    one = data()
    assert "Values that many rows have" not in render_report(one)
    samples = {"real": rows(2, 2, 3, 4), "smote": rows(2, 4, 4, 4)}
    evaluation = dataclasses.replace(one.evaluation, samples=samples)
    page = render_report(dataclasses.replace(one, evaluation=evaluation, encoder=stated(("a<b>",))))
    assert '<tr><th scope="row">a&lt;b&gt;</th><td class="text">0</td><td>25.0%</td><td>75.0%</td></tr>' in page

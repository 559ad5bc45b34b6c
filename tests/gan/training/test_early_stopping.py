"""Which weights are kept, seen from outside: what the trainer leaves behind."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from hypothesis import given
from hypothesis import strategies as st
from tests.delta_rows import delta_rows
from tests.gan.conftest import Warehouse
from tests.gan.test_train import card, refined, weights

from raresmith.gan.train import main
from raresmith.gan.training.judge import Figures
from raresmith.gan.training.validation import ValidationResult, cost

VALIDATION = {0: 60, 1: 40}
SHARE = st.floats(0, 1)


def run(house: Warehouse) -> dict[str, Any]:
    assert main([str(house.config_path)]) == 0
    return card(house)


def test_the_cost_adds_what_is_lost_and_nothing_for_what_is_gained() -> None:
    synthetic = Figures(auc=0.9, average_precision=0.5, distance=2.0)
    assert cost(Figures(0.7, 0.6, 3.0), synthetic) == pytest.approx(0.2)
    assert cost(Figures(0.3, 0.4, 1.5), synthetic) == pytest.approx(0.2 + 0.1 + 0.25)
    assert cost(synthetic, synthetic) == pytest.approx(0.4)
    assert cost(Figures(0.5, 0.5, 0.0), Figures(0.5, 0.5, 0.0)) == 0


@given(SHARE, SHARE, SHARE, SHARE, SHARE)
def test_the_cost_is_least_for_rows_like_real_ones_that_lose_nothing(
    auc: float, precision: float, distance: float, before: float, far: float
) -> None:
    synthetic = Figures(0.9, before, far)
    assert 0 == cost(Figures(0.5, before, far), synthetic) <= cost(Figures(auc, precision, distance), synthetic) <= 2.5


def test_the_weights_of_the_best_look_are_kept_as_a_run_of_so_many_steps_has_them(
    warehouse: Callable[..., Warehouse],
) -> None:
    house = warehouse("steps = 300\nvalidate_every = 50\nlearning_rate = 0.01", validation=VALIDATION)
    found = run(house)
    looks = [ValidationResult(*look) for look in found["looks"]]
    assert found["look_names"] == list(ValidationResult._fields)
    assert [look.step for look in looks] == [50, 100, 150, 200, 250, 300]
    for look in looks:
        assert look.cost == cost(Figures(*look[2:]), Figures(*found["synthetic"]))
    best = min(looks, key=lambda look: look.cost)
    assert found["step"] == best.step < 300
    short = warehouse(f"steps = {best.step}\nvalidate_every = 0\nlearning_rate = 0.01", name="short")
    for name in ("features", "synthetic"):
        write_deltalake(short.table(name), delta_rows(house.table(name)), mode="overwrite")
    assert "looks" not in run(short)
    for name, tensor in weights(short).items():
        assert np.array_equal(tensor, weights(house)[name]), name


def test_what_was_found_is_in_the_note_of_the_run_and_in_the_report_line(
    warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    house = warehouse("steps = 40\nvalidate_every = 20", validation=VALIDATION)
    found = run(house)
    words = f"the weights of step {found['step']} are kept, by the validation rows the best of 2 looks: two-sample AUC "
    assert words in (said := capsys.readouterr()).out
    assert "look at step 20: two-sample AUC" in said.err
    measures = json.loads(delta_rows(house.table("runs")).to_pandas()["measures"][0])
    assert measures == {name: found[name] for name in measures}
    assert {"kept", "looks", "losses", "synthetic"} <= measures.keys()
    run(house)
    assert words in capsys.readouterr().out  # told again where nothing is done


def test_training_ends_after_so_many_looks_without_a_better_one(
    warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    house = warehouse("steps = 2000\nvalidate_every = 20\npatience = 2", validation=VALIDATION)
    found = run(house)
    steps = [look[0] for look in found["looks"]]
    # The second look that is no better is known at the step of the next.
    assert steps == list(range(20, found["step"] + 41, 20))
    assert found["losses"][-1][0] <= steps[-1] + 20 < 2000
    assert f"step {steps[-1] + 20} was the last, for 2 looks were no better than one before" in capsys.readouterr().out


def test_where_the_losses_are_no_longer_finite_the_best_look_is_gone_back_to(
    warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    house = warehouse('model = "vae"\nsteps = 300\nvalidate_every = 2\nbatch_size = 4', validation=VALIDATION)
    columns = delta_rows(house.table("features"))
    n0 = columns["n0"].to_numpy().copy()
    # A step draws two of the forty rows: some pass before it is this one's turn.
    n0[np.flatnonzero((columns["split"].to_pandas() == "train") & (columns["label"].to_pandas() == 1))[0]] = 3e38
    columns = columns.drop("n0").append_column("n0", pa.array(n0))
    write_deltalake(house.table("features"), columns, mode="overwrite")
    found = run(house)
    assert "was the last, for the losses were no longer finite; the weights of step" in capsys.readouterr().out
    assert all(np.isfinite(tensor).all() for tensor in weights(house).values())
    assert len(refined(house)) == 100 and found["step"] < 300


def test_too_few_validation_rows_keep_the_last_step_and_it_is_said(
    warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    for name, counts in {
        "validation": {"validation": {0: 50, 1: 19}},
        "synthetic": {"validation": {0: 50, 1: 60}, "synthetic": {1: 4}},
    }.items():
        house = warehouse("steps = 20\nvalidate_every = 10", name=name, **counts)
        assert run(house)["step"] == 20
        assert "there are fewer than 20 synthetic rows, or rows of the validation split" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["redraw", "gan"])
def test_looks_leave_the_training_as_it_is_without_them(model: str, warehouse: Callable[..., Warehouse]) -> None:
    never, once, often = (
        warehouse(f'model = "{model}"\nsteps = 30\nvalidate_every = {n}', validation=VALIDATION, name=f"every{n}")
        for n in (0, 30, 7)
    )
    losses = run(never)["losses"]
    for house in (once, often):
        write_deltalake(house.table("features"), delta_rows(never.table("features")), mode="overwrite")
        assert run(house)["losses"] == losses
    assert card(once)["step"] == 30
    for name, tensor in weights(never).items():
        assert np.array_equal(tensor, weights(once)[name]), name

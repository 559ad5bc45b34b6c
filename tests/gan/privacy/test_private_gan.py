import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from tests.gan.conftest import Warehouse, make_encoder
from tests.gan.test_train import card, finished, refined, weights

from raresmith.config import PrivacyConfig, RefineConfig
from raresmith.gan.artifacts import checkpoint
from raresmith.gan.artifacts.model_reader import load_model
from raresmith.gan.data.representation import Representation
from raresmith.gan.data.rows import Batch, Rows
from raresmith.gan.models.base import Setting
from raresmith.gan.privacy.clipping import clipped_sum
from raresmith.gan.privacy.private_gan import PrivateGan, make_batch_sampler
from raresmith.gan.ranks import Ranks
from raresmith.gan.train import main
from raresmith.generators.gan import Gan

ALONE = Ranks(0, 1, torch.device("cpu"))
SETTINGS = 'model = "gan"\nlatent = "noise"\nvalidate_every = 0\nbatch_size = 16\ndevice = "cpu"'
PRIVACY = "[refine.privacy]\nepsilon = 3.0\ndelta = 1e-4"


def private(steps: int, every: int = 500) -> str:
    return f"{SETTINGS}\nsteps = {steps}\ncheckpoint_every = {every}\n{PRIVACY}"


def dies_after_a_checkpoint(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    save = checkpoint.save_checkpoint

    def save_and_die(*arguments: Any) -> NoReturn:
        save(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoint, "save_checkpoint", save_and_die)
        main([str(warehouse.config_path)])


def copied(warehouse: Warehouse, folder: Path) -> Warehouse:
    copy = Warehouse.__new__(Warehouse)
    copy.folder, copy.config_path = folder, folder / "run.toml"
    shutil.copytree(warehouse.folder, folder)
    return copy


@pytest.fixture
def mixed(tmp_path: Path) -> Callable[[str], Warehouse]:
    """Two made classes, numbers and categories."""

    def make(refine: str) -> Warehouse:
        made = Warehouse(tmp_path / "mixed", make_encoder(3, 2, ("a", "b", "c")), refine)
        made.write_features({0: 100, 1: 300, 2: 150})
        made.write_synthetic({1: 3000, 2: 2500})
        return made

    return make


def test_a_run_that_dies_goes_on_with_the_same_noise_to_the_bit(
    mixed: Callable[[str], Warehouse], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = mixed(private(15, every=5))
    dies_after_a_checkpoint(broken, monkeypatch)
    whole = copied(broken, tmp_path / "whole")
    assert main([str(whole.config_path)]) == 0
    dies_after_a_checkpoint(broken, monkeypatch)
    assert main([str(broken.config_path)]) == 0
    expected = weights(whole)
    for name, tensor in weights(broken).items():
        assert np.array_equal(tensor, expected[name]), name
    for noted in ("losses", "differential_privacy"):
        assert card(broken)[noted] == card(whole)[noted]


def test_two_ranks_train_as_one_does_and_the_secret_is_the_first_ones(
    mixed: Callable[[str], Warehouse],
    torchrun: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = mixed(private(40))
    two = copied(one, tmp_path / "two")
    # Each rank's own randomness, made known: rank 0 has that of the run of one process.
    (tmp_path / "sitecustomize.py").write_text(
        "import os\nif 'RANK' in os.environ:\n    os.urandom = lambda n: bytes([7 + int(os.environ['RANK'])] * n)\n"
    )
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        out, _ = finished(torchrun(two, 2))
    assert "training was differentially private: (ε, δ) = (" in out
    with monkeypatch.context() as patch:
        patch.setattr(os, "urandom", lambda n: bytes([7] * n))
        assert main([str(one.config_path)]) == 0
    np.testing.assert_allclose(card(one)["losses"], card(two)["losses"], rtol=1e-4)
    for name, tensor in weights(one).items():
        np.testing.assert_allclose(weights(two)[name], tensor, atol=2e-3, err_msg=name)
    assert refined(two)["row_id"] == refined(one)["row_id"]


def test_the_noise_cannot_be_drawn_from_what_the_card_names(warehouse: Callable[..., Warehouse]) -> None:
    houses = [warehouse(private(5), name=name) for name in ("first", "second")]
    shutil.rmtree(houses[1].folder / "tables")
    shutil.copytree(houses[0].folder / "tables", houses[1].folder / "tables")
    for house in houses:
        assert main([str(house.config_path)]) == 0
    first, second = (weights(house) for house in houses)
    assert first.keys() == second.keys() and not [name for name in first if "secret" in name]
    assert not np.array_equal(first["discriminator.layers.0.weight"], second["discriminator.layers.0.weight"])
    assert card(houses[0])["fingerprint"] == card(houses[1])["fingerprint"]
    assert "secret" not in json.dumps(card(houses[0]))
    models = Path(houses[0].table("models")) / "r"
    assert sorted(path.name for path in models.iterdir()) == ["model.json", "model.md", "model.safetensors", "staging"]


def test_the_secret_goes_also_where_a_run_dies_right_after_the_model_is_saved(
    warehouse: Callable[..., Warehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_: object) -> NoReturn:
        raise KeyboardInterrupt

    house = warehouse(private(20, every=10))
    with monkeypatch.context() as dying:
        dying.setattr("raresmith.gan.artifacts.checkpoint.delete_checkpoints", die)
        with pytest.raises(KeyboardInterrupt):
            main([str(house.config_path)])
    models = Path(house.table("models")) / "r"
    assert list(models.glob("checkpoint-*"))
    assert main([str(house.config_path)]) == 0
    assert sorted(path.name for path in models.iterdir()) == ["model.json", "model.md", "model.safetensors", "staging"]


def test_the_card_its_page_and_the_report_name_what_was_spent(
    warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    house = warehouse(private(20), categorical=1, real={0: 50, 1: 200})
    assert main([str(house.config_path)]) == 0
    spent = card(house)["differential_privacy"]
    assert spent.keys() == {"epsilon", "delta", "noise_multiplier", "max_grad_norm", "sample_rate", "steps"}
    assert 2.9 < spent["epsilon"] <= 3.0
    assert (spent["delta"], spent["max_grad_norm"], spent["sample_rate"], spent["steps"]) == (1e-4, 1.0, 8 / 200, 20)
    page = (Path(house.table("models")) / "r" / "model.md").read_text()
    said = f"(ε, δ) = ({spent['epsilon']:.3g}, 0.0001)"
    assert f"Training was differentially private, with {said}: adding or removing one train row" in page
    assert "| privacy |" not in page  # what was asked for, beside what was spent
    assert f"| noise multiplier | {spent['noise_multiplier']:.6g} |" in page
    assert f"training was differentially private: {said}" in capsys.readouterr().out
    # Of the losses only those that real rows reach through the noise alone.
    assert card(house)["loss_names"] == ["discriminator of made rows", "generator"]
    assert load_model(str(Path(house.table("models")) / "r"), torch.device("cpu")).called == "gan, small, from noise"


def test_without_it_the_card_says_that_training_was_not_private(warehouse: Callable[..., Warehouse]) -> None:
    house = warehouse("steps = 5")
    assert main([str(house.config_path)]) == 0
    assert card(house)["differential_privacy"] is None
    assert "it was not differentially private" in (Path(house.table("models")) / "r" / "model.md").read_text()


def test_a_delta_that_lets_a_row_be_shown_is_refused(
    warehouse: Callable[..., Warehouse], capsys: pytest.CaptureFixture[str]
) -> None:
    house = warehouse(private(5).replace("1e-4", "0.01"), real={0: 50, 1: 100})
    assert main([str(house.config_path)]) == 2
    assert "refine.privacy.delta = 0.01 allows a training that shows one of its 100 real" in capsys.readouterr().err


def prepared() -> PrivateGan:
    settings = RefineConfig(
        model="gan",
        latent="noise",
        validate_every=0,
        batch_size=64,
        privacy=PrivacyConfig(epsilon=1.0, max_grad_norm=0.3),
    )
    setting = Setting(
        representation=Representation(make_encoder(4)), latent="noise", classes=(1,), seed=0, device=ALONE.device
    )
    model = PrivateGan(setting, Gan.Parameters())
    model.prepare(500, 2e-4)
    make_batch_sampler(ALONE, settings, model, {1: 1000}, {1: 500}, None)
    return model


def batch_of(n: int, is_drawn: torch.Tensor, shift: float = 0.0, step: int = 0) -> Batch:
    torch.manual_seed(1)
    real = Rows(torch.randn(n, 4) + shift, torch.zeros(n, 0, dtype=torch.int64), torch.zeros(n, dtype=torch.int64))
    smote = Rows(torch.randn(64, 4), torch.zeros(64, 0, dtype=torch.int64), torch.zeros(64, dtype=torch.int64))
    return Batch(step=step, real=real, is_drawn=is_drawn, smote=smote, slots=torch.arange(64), scale=1 / 64)


def noisy_gradients(model: PrivateGan, batches: list[Batch], made: torch.Tensor) -> list[torch.Tensor]:
    """What the discriminator's Adam is given in each step, from its mean of them."""
    given, means = [], list(model.optimizers["discriminator"].state.values())
    for batch in batches:
        before = torch.cat([state["exp_avg"].flatten() for state in means])
        model.train_discriminator(batch, lambda _: made)
        given.append(2 * torch.cat([state["exp_avg"].flatten() for state in means]) - before)
    return given


def test_the_discriminator_steps_along_the_sum_of_cut_gradients_with_the_noise_of_the_multiplier() -> None:
    batch, made = batch_of(100, torch.arange(100) < 37), torch.randn(64, 4)
    noise = []
    for _ in range(2):  # the same weights, another secret
        model = prepared()
        rows, is_real = torch.cat([model.inputs(batch.real), made[::2]]), (torch.arange(132) < 100).float()
        counts = torch.cat([batch.is_drawn, torch.ones(32, dtype=torch.bool)])
        expected, _ = clipped_sum(model.judge, rows, is_real, counts, 0.3)
        assert model.guarantee is not None
        (given,) = noisy_gradients(model, [batch], made)
        drawn = (64 * given - expected).double().numpy() / 0.3 / model.guarantee.noise_multiplier
        assert drawn.std() == pytest.approx(1, abs=0.03)
        assert kstest(drawn, "norm").pvalue > 1e-4
        noise.append(drawn)
    assert abs(np.corrcoef(*noise)[0, 1]) < 5 / np.sqrt(len(noise[0]))


def test_every_step_has_noise_of_its_own() -> None:
    model = prepared()
    nothing, made = batch_of(10, torch.zeros(10, dtype=torch.bool)), torch.zeros(0, 4)
    seen = noisy_gradients(model, [replace(nothing, step=step) for step in range(3)], made)
    correlations = np.corrcoef(torch.stack(seen))[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(len(seen[0]))


def test_the_loss_that_is_noted_does_not_depend_on_the_real_rows_of_the_step() -> None:
    losses = []
    for shift in (0.0, 100.0):
        model = prepared()
        losses.append(float(model.step(batch_of(50, torch.ones(50, dtype=torch.bool), shift))[0]))
    assert losses[0] == losses[1]

"""What holds for every generator that there is, also for those that are yet to come."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from tests.gan.conftest import draw, make_encoder

from raresmith.config import PrivacyConfig, RefineConfig
from raresmith.encoding.encoder import Encoder
from raresmith.errors import ConfigError, DataError
from raresmith.gan.data.batches import BatchLoader, StratifiedBatchSampler
from raresmith.gan.data.representation import Representation
from raresmith.gan.data.rows import Rows
from raresmith.gan.generation.copies import TrainRows
from raresmith.gan.generation.generate import blocks
from raresmith.gan.models.base import Latent, Model, Setting
from raresmith.gan.privacy.private_gan import make_batch_sampler
from raresmith.gan.ranks import Ranks
from raresmith.generators.base import Generator
from raresmith.generators.registry import GENERATORS

CPU = torch.device("cpu")
LABELS = ("good", "bad", "worse")
MIXED = make_encoder(3, 2, LABELS)
every_generator = pytest.mark.parametrize("name", GENERATORS)


def rows_of(encoder: Encoder, counts: dict[int, int], seed: int) -> Rows:
    """Rows of each class, in the order of the classes."""
    rng = np.random.default_rng(seed)
    parts = [draw(encoder, label, n, rng) for label, n in counts.items()]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in encoder.names}
    classes = torch.arange(len(counts)).repeat_interleave(torch.tensor([*counts.values()]))
    return Rows(*Representation(encoder).split(columns, "rows"), classes)


def setting_of(encoder: Encoder, classes: tuple[int, ...], latent: Latent = "synthetic", seed: int = 3) -> Setting:
    return Setting(representation=Representation(encoder), latent=latent, classes=classes, seed=seed, device=CPU)


def trained(
    name: str,
    encoder: Encoder = MIXED,
    counts: tuple[dict[int, int], dict[int, int]] = ({1: 30, 2: 20}, {1: 60, 2: 40}),
    *,
    latent: Latent = "synthetic",
    seed: int = 3,
) -> Model:
    """A model after a few steps on real and synthetic rows of so many of each class, ready to make rows."""
    torch.set_num_threads(1)
    spec, (real, synthetic) = GENERATORS[name], counts
    setting = setting_of(encoder, tuple(synthetic), latent, seed)
    model: Model = spec.model().build(setting, spec.Parameters(), lambda: rows_of(encoder, real, 0))
    model.train(True)
    model.prepare(6, spec.learning_rate)
    sampler = StratifiedBatchSampler(real, synthetic, batch_size=16, seed=seed, rank=0, world_size=1, device=CPU)
    loader = BatchLoader(sampler, rows_of(encoder, real, 0), rows_of(encoder, synthetic, 1))
    for step in range(6):
        losses = model.step(loader.batch(step))
        assert losses.shape == (len(model.losses),) and losses.isfinite().all()
    model.finish()
    model.train(False)
    return model


def made(model: Model, rows: Rows) -> torch.Tensor:
    with torch.inference_mode():
        return model.generated(rows, torch.arange(len(rows)))


def assert_valid(representation: Representation, rows: torch.Tensor) -> None:
    """Finite numbers, and one category of each block."""
    assert rows.isfinite().all()
    for start, size in zip(representation.starts, representation.sizes, strict=True):
        block = rows[:, start : start + size]
        assert ((block == 0) | (block == 1)).all() and (block.sum(1) == 1).all()


def test_what_is_known_of_them_needs_no_torch() -> None:
    words = "import sys; from raresmith.generators.registry import GENERATORS as known"
    uses = "[spec.Parameters() for spec in known.values()]; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", f"{words}; {uses}"], check=True)


@every_generator
def test_networks_and_what_is_known_of_them_name_each_other(name: str) -> None:
    spec = GENERATORS[name]
    assert spec.name == name and spec.title and 0 < spec.learning_rate < 1
    assert issubclass(spec.model(), Model) and spec.model().spec is spec
    parameters = spec.Parameters()
    assert spec.read_parameters(dataclasses.asdict(parameters)) == parameters
    assert spec.called(parameters, "noise").startswith(f"{name}, ")
    for field in dataclasses.fields(parameters):
        with pytest.raises(DataError, match=f"has \\[None\\] as {field.name} where .* is expected"):
            spec.read_parameters({**dataclasses.asdict(parameters), field.name: [None]})


def test_settings_in_a_card_are_of_their_types_and_pass_the_generators_own_check() -> None:
    class Wide(Generator):
        @dataclasses.dataclass(frozen=True, kw_only=True)
        class Parameters:
            sizes: tuple[int, ...] = (4, 2)
            rate: float | None = None

            def __post_init__(self) -> None:
                if 0 in self.sizes:
                    raise ConfigError("sizes must be above 0")

    assert Wide.read_parameters({"sizes": [8, 4], "rate": None, "other": 1}) == Wide.Parameters(sizes=(8, 4))
    assert Wide.read_parameters({"sizes": [], "rate": 0.5}) == Wide.Parameters(sizes=(), rate=0.5)
    for document, sentence in (
        ({"sizes": [8, True], "rate": None}, "has True as sizes where int is expected"),
        ({"sizes": 8, "rate": None}, "has 8 as sizes"),
        ({"sizes": [8], "rate": "x"}, "has 'x' as rate where one of"),
        ({"sizes": [8, 0], "rate": None}, "has settings that cannot be: sizes must be above 0"),
    ):
        with pytest.raises(DataError, match=sentence):
            Wide.read_parameters(document)


@every_generator
def test_the_seed_decides_the_weights(name: str) -> None:
    one, same, other = trained(name), trained(name), trained(name, seed=4)
    assert one.weights().keys() == same.weights().keys()
    assert all(torch.equal(tensor, same.weights()[key]) for key, tensor in one.weights().items())
    assert any(not torch.equal(tensor, other.weights()[key]) for key, tensor in one.weights().items())


@every_generator
def test_a_row_and_its_score_do_not_depend_on_how_many_are_made(name: str) -> None:
    """Rule 2, also where a tile or a block is not full."""
    model, rows = trained(name), rows_of(MIXED, {1: 800, 2: 700}, 9)

    def first(n: int) -> list[torch.Tensor]:
        (block,) = blocks(model, rows.take(torch.arange(n)), np.arange(n), None)
        return [block.rows, block.scores]

    for n in (1, 700, 1100):
        assert all(torch.equal(few, many[:n]) for few, many in zip(first(n), first(1500), strict=True))


@pytest.mark.parametrize("latent", ["synthetic", "noise"])
@every_generator
def test_a_model_of_its_weights_and_sizes_makes_the_same_rows(name: str, latent: Latent) -> None:
    model, spec = trained(name, latent=latent), GENERATORS[name]
    again: Model = spec.model().rebuild(setting_of(MIXED, (1, 2), latent), spec.Parameters(), model.sizes)
    for key, tensor in again.weights().items():
        tensor.copy_(model.weights()[key])
    again.check()
    again.train(False)
    rows = rows_of(MIXED, {1: 20, 2: 30}, 9)
    assert torch.equal(made(again, rows), made(model, rows))
    assert len(torch.unique(made(model, rows), dim=0)) > 40


@pytest.mark.parametrize("latent", ["synthetic", "noise"])
@pytest.mark.parametrize(
    ("columns", "real", "synthetic"),
    [
        ((3, 2), {1: 30, 2: 20}, {1: 60, 2: 40}),
        ((3, 2), {1: 2}, {1: 9}),
        ((3, 2), {1: 40, 2: 2}, {1: 5, 2: 60}),
        ((1, 0), {1: 20}, {1: 30}),
        ((0, 1), {1: 20}, {1: 30}),
        ((0, 3), {1: 20, 2: 20}, {1: 30, 2: 1}),
        ((4, 0), {1: 20, 2: 20}, {1: 30, 2: 30}),
        ((3, 2), {1: 30}, {1: 1}),
    ],
    ids=["mixed", "two rows", "two of a class", "a number", "a category", "categories", "numbers", "one synthetic"],
)
@every_generator
def test_any_rows_are_learnt_from_and_valid_ones_are_made(
    name: str, columns: tuple[int, int], real: dict[int, int], synthetic: dict[int, int], latent: Latent
) -> None:
    encoder = make_encoder(*columns, LABELS)
    model = trained(name, encoder, (real, synthetic), latent=latent)
    rows = rows_of(encoder, synthetic, 1)
    assert_valid(model.representation, made(model, rows))
    ids = np.random.default_rng(0).integers(-(2**62), 2**62, len(rows))
    found = [*blocks(model, rows, ids, TrainRows(encoder, []))]
    assert sum(len(block.rows) for block in found) == len(rows)
    for block in found:
        assert_valid(model.representation, block.rows)
        assert (block.rows[:, : columns[0]].abs() <= 3).all()
        assert ((block.scores >= 0) & (block.scores <= 1)).all()


@every_generator
def test_columns_that_are_given_stay_where_it_says_that_they_can(name: str) -> None:
    model, rows = trained(name, latent="noise"), rows_of(MIXED, {1: 30, 2: 30}, 5)
    given = torch.tensor([True, False, False, True, False])
    if not GENERATORS[name].can_condition:
        with pytest.raises(NotImplementedError):
            model.completed(rows, torch.arange(60), given)
        return
    with torch.inference_mode():
        completed = model.completed(rows, torch.arange(60), given)
    whole = model.representation.join(rows.numbers, rows.positions)
    assert_valid(model.representation, completed)
    assert torch.equal(completed[:, 0], whole[:, 0]) and torch.equal(completed[:, 3:7], whole[:, 3:7])
    assert not torch.equal(completed[:, 1:3], whole[:, 1:3]) and not torch.equal(completed[:, 7:], whole[:, 7:])


@every_generator
def test_it_trains_privately_where_it_says_that_it_can(name: str) -> None:
    spec = GENERATORS[name]
    if not spec.can_train_privately():
        assert spec.private_networks == ""
        return
    privacy = PrivacyConfig(epsilon=5.0, delta=1e-4)
    settings = RefineConfig(model=name, latent="noise", validate_every=0, batch_size=16, steps=4, privacy=privacy)
    real, synthetic = {1: 300}, {1: 60}
    networks = spec.model(private=True)
    assert issubclass(networks, spec.model()) and networks.spec is spec
    model: Model = networks.build(setting_of(MIXED, (1,), "noise"), spec.Parameters(), lambda: rows_of(MIXED, real, 0))
    sampler = make_batch_sampler(Ranks(0, 1, CPU), settings, model, real, synthetic, None)
    model.train(True)
    model.prepare(4, spec.learning_rate)
    loader = BatchLoader(sampler, rows_of(MIXED, real, 0), rows_of(MIXED, synthetic, 1))
    assert all(model.step(loader.batch(step)).isfinite().all() for step in range(4))
    assert model.guarantee is not None and model.guarantee.epsilon <= 5

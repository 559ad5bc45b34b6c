"""A batch taken in parts: what adds up, and what a part is."""

from typing import Any

import pytest
import torch
from tests.gan.conftest import CODES, make_encoder
from torch import nn
from torch.optim import SGD

from raresmith.errors import ConfigError
from raresmith.gan.data.batches import StratifiedBatchSampler
from raresmith.gan.data.representation import Representation
from raresmith.gan.data.rows import Batch, Rows
from raresmith.gan.models.base import Model, Setting
from raresmith.generators.registry import GENERATORS

CPU = torch.device("cpu")
REPRESENTATION = Representation(make_encoder(2, 1))


def rows_of(n: int, seed: int) -> Rows:
    random = torch.Generator().manual_seed(seed)
    columns = {f"n{i}": torch.randn(n, generator=random).clamp(-3, 3).numpy() for i in range(2)}
    columns["c0"] = torch.tensor(CODES)[torch.randint(0, len(CODES), (n,), generator=random)].numpy()
    return Rows(*REPRESENTATION.split(columns, "rows"), torch.zeros(n, dtype=torch.int64))


REAL, SMOTE = rows_of(60, 0), rows_of(150, 1)


def untrained(name: str) -> Model:
    setting = Setting(representation=REPRESENTATION, latent="synthetic", classes=(1,), seed=3, device=CPU)
    spec = GENERATORS[name]
    model: Model = spec.model().build(setting, spec.Parameters(), lambda: REAL)
    model.prepare(10, spec.learning_rate)
    model.train(True)
    return model


def batches(accumulate: int, *, rank: int = 0, world_size: int = 1, batch_size: int = 32) -> StratifiedBatchSampler:
    return StratifiedBatchSampler(
        {1: len(REAL)}, {1: len(SMOTE)}, batch_size=batch_size, seed=3, rank=rank, world_size=world_size, device=CPU,
        accumulate=accumulate,
    )  # fmt: skip


def batch_of(step: int, drawn: StratifiedBatchSampler) -> Batch:
    real = REAL.take(drawn.real(step) + drawn.real_range[0])
    smote = SMOTE.take(drawn.smote(step) + drawn.smote_range[0])
    is_drawn = torch.ones(len(real), dtype=torch.bool)
    return Batch(
        step=step, real=real, is_drawn=is_drawn, smote=smote, slots=drawn.smote_slots, scale=1 / 32, cuts=drawn.cuts
    )


def fix_batch_norm(model: Model) -> None:
    """Let BatchNorm go by its running statistics: no row looks at the others of its batch."""
    for network in model.networks.values():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.eval()


@pytest.mark.parametrize("accumulate", [2, 5])
@pytest.mark.parametrize("name", GENERATORS)
def test_the_gradients_of_the_parts_add_up_to_that_of_the_batch(name: str, accumulate: int) -> None:
    models, losses = [], []
    for parts in (1, accumulate):
        model = untrained(name)
        fix_batch_norm(model)
        # Adam makes whole steps of gradients that are rounding errors alone.
        model.optimizers = {
            key: SGD([{"params": [*network.parameters()], "peak": 0.01}], lr=0.01)
            for key, network in model.networks.items()
        }
        losses.append(torch.stack([model.step(batch_of(step, batches(parts))) for step in range(10)]))
        models.append(model)
    torch.testing.assert_close(*losses, rtol=1e-3, atol=1e-5)
    start, whole = untrained(name).weights(), models[0].weights()
    for key, tensor in models[1].weights().items():
        torch.testing.assert_close(tensor, whole[key], rtol=1e-3, atol=1e-5, msg=key)
    assert any(not torch.equal(tensor, start[key]) for key, tensor in whole.items())


@pytest.mark.parametrize("name", GENERATORS)
def test_no_network_sees_more_than_a_part_at_a_time(name: str) -> None:
    model = untrained(name)
    seen: dict[Any, list[int]] = {}
    for network in model.networks.values():
        network.register_forward_pre_hook(lambda network, given: seen.setdefault(network, []).append(len(given[0])))
    for step in range(5):
        model.step(batch_of(step, batches(4)))
    # 4 of the 16 real rows, and as many made ones, and as many between the two for wgan_gp.
    assert all(0 < max(lengths) <= (12 if name == "wgan_gp" else 8) for lengths in seen.values())


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_a_part_has_the_same_rows_for_any_number_of_ranks(world_size: int) -> None:
    parts = [
        [part.slots.tolist() for part in batch_of(0, batches(4, rank=rank, world_size=world_size)).parts()]
        for rank in range(world_size)
    ]
    for number, of_ranks in enumerate(zip(*parts, strict=True)):
        slots = [slot for of_rank in of_ranks for slot in of_rank]
        assert sorted(slots) == [slot for slot in range(32) if slot // 2 % 4 == number]
        assert all(of_rank for of_rank in of_ranks)


def test_more_parts_than_rows_are_refused() -> None:
    assert len(batches(8, world_size=2).cuts) == 8
    with pytest.raises(ConfigError, match=r"accumulate = 9 but a process has 8 real rows .* at least 36"):
        batches(9, world_size=2)

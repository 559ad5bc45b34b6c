from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.gan.conftest import CODES, make_encoder

from raresmith.encoding.encoder import Encoder
from raresmith.gan.data.representation import Representation
from raresmith.gan.data.rows import Rows
from raresmith.gan.generation.copies import TrainRows
from raresmith.gan.generation.generate import BLOCK, PIECE, blocks, pieces, refined_row_ids
from raresmith.gan.models.base import Latent, Model, Setting
from raresmith.generators.registry import GENERATORS

CPU = torch.device("cpu")
NO_ROWS = TrainRows(make_encoder(5, 2), [])


def make(latent: Latent, model: str = "gan", architecture: str = "small", encoder: Encoder | None = None) -> Model:
    representation = Representation(encoder or make_encoder(5, 2))
    setting = Setting(representation=representation, latent=latent, classes=(1, 2), seed=3, device=CPU)
    spec = GENERATORS[model]
    parameters = spec.read_parameters({"architecture": architecture})
    made: Model = spec.model().build(setting, parameters, lambda: counted(representation))
    return made


def counted(representation: Representation, n: int = 300) -> Rows:
    """Real rows that a model may count."""
    random = torch.Generator().manual_seed(5)
    numbers = torch.randn(n, len(representation.numeric), generator=random)
    codes = torch.randint(0, 4, (n, len(representation.sizes)), generator=random)
    classes = torch.randint(0, 2, (n,), generator=random)
    return Rows(numbers, codes + torch.tensor(representation.starts, dtype=torch.int64), classes)


def make_rows(n: int) -> tuple[Rows, np.ndarray]:
    random = torch.Generator().manual_seed(0)
    rows = Rows(
        torch.randn(n, 5, generator=random),
        torch.randint(0, 4, (n, 2), generator=random) + torch.tensor([5, 9]),  # inputs of c0 and c1
        torch.randint(0, 2, (n,), generator=random),
    )
    return rows, np.random.default_rng(0).integers(-(2**62), 2**62, n)


@pytest.mark.parametrize("architecture", ["small", "smotified"])
@pytest.mark.parametrize("latent", ["synthetic", "noise"])
@pytest.mark.parametrize("model", GENERATORS)
def test_a_refined_row_does_not_depend_on_the_rows_beside_it(model: str, latent: Latent, architecture: str) -> None:
    gan, (rows, ids) = make(latent, model, architecture), make_rows(700)
    torch.set_num_threads(1)
    whole = torch.cat([made for _, made, *_ in blocks(gan, rows, ids, NO_ROWS)])
    order = torch.randperm(700, generator=torch.Generator().manual_seed(1))[:123]
    some = torch.cat([made for _, made, *_ in blocks(gan, rows.take(order), ids[order.numpy()], NO_ROWS)])
    assert torch.equal(whole[order], some)
    assert len(torch.unique(whole, dim=0)) == 700


@pytest.mark.parametrize("model", GENERATORS)
def test_rows_of_categories_alone_are_made_and_scored(model: str) -> None:
    made = make("synthetic", model, encoder=make_encoder(0, 2))
    _, ids = make_rows(50)
    rows = Rows(torch.zeros(50, 0), torch.tensor([[1, 6]]).repeat(50, 1), torch.zeros(50, dtype=torch.int64))
    for _, refined, scores, *_ in blocks(made, rows, ids, TrainRows(make_encoder(0, 2), [])):
        assert torch.equal(refined[:, :4].sum(1), torch.ones(50))
        assert ((scores >= 0) & (scores <= 1)).all()


def test_a_row_that_equals_a_train_row_is_made_anew() -> None:
    encoder = make_encoder(0, 2)
    model = make("synthetic", "redraw", encoder=encoder)
    rows = Rows(torch.zeros(900, 0), torch.tensor([[1, 6]]).repeat(900, 1), torch.zeros(900, dtype=torch.int64))
    _, ids = make_rows(900)

    def codes(rows: torch.Tensor) -> set[tuple[int, ...]]:
        return set(zip(*(column.tolist() for column in model.representation.columns(rows).values()), strict=True))

    (free,) = blocks(model, rows, ids, TrainRows(encoder, []))
    assert len(codes(free.rows)) == 15 and free.copies == 0  # all but the row that they start from
    known = {"c0": np.array([0.0, 3.0, 3.0]), "c1": np.array([0.0, 3.0, 5.0])}
    (anew,) = blocks(model, rows, ids, TrainRows(encoder, [known]))
    assert len(codes(anew.rows)) == 12 and anew.copies == 0
    kept = [(a == b).all().item() for a, b in zip(free.rows, anew.rows, strict=True)]
    assert [codes(row[None]) <= {(0, 0), (3, 3), (3, 5)} for row in free.rows] == [not same for same in kept]
    everything = np.array(np.meshgrid(CODES, CODES), dtype=float).reshape(2, -1)
    (no_other,) = blocks(model, rows, ids, TrainRows(encoder, [{"c0": everything[0], "c1": everything[1]}]))
    assert no_other.copies == 900


@pytest.mark.parametrize("model", GENERATORS)
def test_made_rows_are_valid_and_scored(model: str) -> None:
    gan, (rows, ids) = make("synthetic", model), make_rows(BLOCK + 10)
    sizes = []
    for part, made, scores, outside, _ in blocks(gan, rows, ids, NO_ROWS):
        sizes.append(part.stop - part.start)
        assert made[:, :5].abs().max() <= 3
        assert ((made[:, 5:] == 0) | (made[:, 5:] == 1)).all()
        assert torch.equal(made[:, 5:9].sum(1), torch.ones(len(made)))
        assert ((scores >= 0) & (scores <= 1)).all()
        assert 0 <= outside <= 5 * len(made)
    assert sizes == [BLOCK, 10]


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("total", [0, 1, BLOCK, 3 * BLOCK + 1, 2 * PIECE + 5])
def test_ranks_make_whole_blocks_and_together_all_rows_in_order(total: int, world_size: int) -> None:
    made = [piece for rank in range(world_size) for piece in pieces(total, rank, world_size)]
    assert all(low % BLOCK == 0 and 0 < high - low <= PIECE for low, high, _ in made)
    assert [low for low, _, _ in made] == [0, *[high for _, high, _ in made]][: len(made)]
    assert (made[-1][1] if made else 0) == total
    assert len({name for _, _, name in made}) == len(made)


def test_row_ids_are_new_and_differ_between_runs() -> None:
    ids = np.arange(10_000)
    first, second = refined_row_ids(ids, "a", 0), refined_row_ids(ids, "b", 0)
    assert len({*ids.tolist(), *first.tolist(), *second.tolist()}) == 30_000
    assert np.array_equal(first[::-1], refined_row_ids(ids[::-1], "a", 0))


def test_a_row_never_keeps_all_raw_columns_of_its_base_row() -> None:
    # Windows and the like are made here: they are not among the columns that are published.
    plain = make_encoder(3, 1)
    on_grid: dict[str, dict[str, Any]] = {"n0": {"step": 0.1}}
    features = tuple(replace(f, made=f.name != "n0", **on_grid.get(f.name, {})) for f in plain.features)
    encoder = replace(plain, features=features)
    model = make("synthetic", "redraw", encoder=encoder)
    random = torch.Generator().manual_seed(1)
    numbers = torch.round(torch.randn(BLOCK, 3, generator=random) * 2) / 2
    rows = Rows(numbers, torch.full((BLOCK, 1), 4), torch.zeros(BLOCK, dtype=torch.int64))
    (block,) = blocks(model, rows, np.arange(BLOCK), TrainRows(encoder, []))
    assert block.copies == 0
    assert (block.rows[:, 0] != numbers[:, 0]).all()
    assert (block.rows[:, 3:] == model.representation.join(numbers, rows.positions)[:, 3:]).all(1).float().mean() > 0.4

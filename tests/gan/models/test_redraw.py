import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
import torch
from deltalake import write_deltalake
from tests.delta_rows import delta_rows
from tests.gan.conftest import Warehouse, make_encoder

from raresmith.encoding.encoder import NumericFeature
from raresmith.errors import DataError
from raresmith.gan.data.representation import Representation
from raresmith.gan.data.rows import Batch, Rows
from raresmith.gan.models.base import Latent, Setting
from raresmith.gan.models.discretizer import Discretizer
from raresmith.gan.models.masked_columns import GATE, HIDDEN, MaskedColumns, _smoothing
from raresmith.gan.models.redraw import Redraw, _drawn
from raresmith.gan.train import main

CPU = torch.device("cpu")


def counting(tokens: Discretizer, counted: torch.Tensor) -> MaskedColumns:
    net = MaskedColumns(tokens)
    net.count(counted)
    return net


def test_pairs_are_counted_as_by_hand() -> None:
    codes = np.array([[0, 0], [0, 0], [0, 1], [1, 1]])
    tokens = Discretizer.fitted(np.zeros((4, 0), np.float32), codes, [], [2, 2])
    counted = tokens.of(torch.zeros(4, 0), torch.from_numpy(codes))
    net = counting(tokens, counted)
    # Discretizer: column 0 code 0 (3 rows), code 1 (1); column 1 code 0 and code 1 (2 rows each).
    assert net.pairs.tolist() == [[3, 0, 2, 1], [0, 1, 0, 1], [2, 0, 2, 0], [1, 1, 0, 2]]
    assert net.rows.tolist() == [3, 1, 2, 2]
    # P(code 0 of column 1 | code 0 of column 0) / P(code 0) with four rows of prior: (2 + 4/2) / (3 + 4) ÷ 1/2.
    ratios = net._ratios(net.pairs[:, 2:], net.rows[:, None], slice(2, 4))
    assert ratios[0, 0].item() == pytest.approx(np.log(4 / 7 / 0.5), rel=1e-6)


def test_pairs_of_smoothed_numbers_are_those_of_whole_matrices() -> None:
    random = torch.Generator().manual_seed(0)
    numbers, codes = torch.randn(300, 3, generator=random), torch.randint(0, 5, (300, 2), generator=random)
    tokens = Discretizer.fitted(numbers.numpy(), codes.numpy(), [True] * 3, [5, 5])
    counted = tokens.of(numbers, codes)
    net = counting(tokens, counted)
    narrow, wide = (torch.block_diag(*_smoothing(tokens, width)) for width in (0.03, 0.08))
    one_hot = torch.nn.functional.one_hot(counted, len(tokens)).sum(1).float()
    weight = wide / wide.diagonal()[:, None]
    assert torch.allclose(net.pairs, weight @ (one_hot.T @ (one_hot @ narrow)), rtol=1e-5)
    assert torch.allclose(net.rows, weight @ tokens.counts)


def test_more_columns_than_can_be_paired_are_refused() -> None:
    encoder = make_encoder(4097, 0)
    setting = Setting(representation=Representation(encoder), latent="noise", classes=(1,), seed=0, device=CPU)
    rows = Rows(torch.zeros(3, 4097), torch.zeros(3, 0, dtype=torch.int64), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(DataError, match=r"the table has 4,097 features, and .* takes at most 4,096; name fewer"):
        Redraw.build(setting, None, lambda: rows)


def test_a_row_is_taken_out_of_the_counts_that_it_is_compared_with() -> None:
    codes = np.array([[0, 0], [0, 1], [1, 1], [1, 1], [1, 0]])
    tokens = Discretizer.fitted(np.zeros((5, 0), np.float32), codes, [], [2, 2])
    counted = tokens.of(torch.zeros(5, 0), torch.from_numpy(codes))
    net, first, seen = counting(tokens, counted), counted[:1], torch.tensor([[1.0, 0.0]])
    entropy = net(first, seen, torch.ones(1, 2 * HIDDEN), [1])
    torch.nn.init.zeros_(net.gates)
    net.eval()
    unseen = net.logits(1, net.shown(first, seen), net.read(seen), net.hidden(net.embedded(first, seen)))
    # Of the other four rows one has the code 0 in column 1, and the one with code 0 in column 0 has not. With four rows
    # of prior P(code 0) is 1/4 and P(code 0 | code 0 of column 0) = (0 + 4/4) / (1 + 4).
    pairs = torch.tensor([4 / 5 / (3 / 4), 1 / 5 / (1 / 4)])  # tokens are in the order of their counts
    expected = torch.nn.functional.cross_entropy(unseen + GATE * pairs.log(), first[:, 1] - net.starts[1])
    assert torch.allclose(entropy.squeeze(), expected, atol=1e-6)


def independent(n: int, columns: int, seed: int) -> Rows:
    numbers = torch.randn(n, columns, generator=torch.Generator().manual_seed(seed))
    return Rows(numbers, torch.zeros(n, 0, dtype=torch.int64), torch.zeros(n, dtype=torch.int64))


def entropies(model: Redraw, rows: Rows) -> float:
    """Mean cross-entropy of a column, given all others."""
    net = model.conditionals
    with torch.inference_mode():
        tokens = net.tokens.of(rows.numbers, rows.positions)
        return -float(net.likelihood(tokens, model.n_columns).log().mean())


@pytest.mark.parametrize("habit", [False, True])
def test_on_a_grid_numbers_are_made_between_real_ones_where_these_have_no_habit(habit: bool) -> None:
    cents = np.random.default_rng(0).integers(0, 60_000, 400)
    cents = cents // 100 * 100 + 99 if habit else cents
    plain = make_encoder(1)
    feature = plain.features[0]
    assert isinstance(feature, NumericFeature)
    feature = dataclasses.replace(feature, step=0.01, high=600.0, scale=100.0, encoded_low=0.0, encoded_high=6.0)
    representation = Representation(dataclasses.replace(plain, features=(feature,)))
    setting = Setting(representation=representation, latent="synthetic", classes=(1,), seed=0, device=CPU)
    numbers = torch.tensor(cents / 10_000, dtype=torch.float32)[:, None]
    rows = Rows(numbers, torch.zeros(400, 0, dtype=torch.int64), torch.zeros(400, dtype=torch.int64))
    model = Redraw.build(setting, None, lambda: rows)
    model.prepare(1, 3e-3)
    model.train(False)
    with torch.inference_mode():
        made = model.generated(rows, torch.arange(400))[:, 0]
    are_real = np.isin(np.rint(made.numpy() * 10_000), cents)
    assert are_real.all() if habit else are_real.mean() < 0.1


def test_what_the_counts_lack_without_a_row_does_not_tell_which_row_it_was() -> None:
    # A model that learns to read it takes rows that were counted for less likely than rows that were not.
    rows = independent(300, 30, 0)
    model = trained(rows, (30, 0), 150)
    assert entropies(model, rows) < entropies(model, independent(300, 30, 1))


def test_of_many_columns_none_speaks_too_loudly() -> None:
    model = trained(independent(100, 200, 0), (200, 0), 40)
    of_no_column = math.log(len(model.conditionals.tokens) / 200)
    assert entropies(model, independent(50, 200, 1)) < of_no_column + 1  # where all start as of a few: + 4.5


def test_of_many_columns_a_step_goes_through_the_rows_that_hide_one() -> None:
    rows = independent(40, 80, 0)
    net = trained(rows, (80, 0), 2).conditionals.train()
    tokens = net.tokens.of(rows.numbers, rows.positions)
    seen = torch.bernoulli(torch.full((40, 80), 0.5), generator=torch.Generator().manual_seed(0))
    seen[:, 4] = 1
    hidden, columns, found = seen == 0, [0, 3, 4, 79], []
    for share in (net.share_of_each, 1.0):  # of few columns all rows are gone through
        net.share_of_each = share
        entropies = net(tokens, seen, torch.ones(40, 2 * HIDDEN), columns)
        (entropies * hidden[:, columns]).sum().backward()
        found.append([entropies.detach(), *(p.grad.clone() for p in net.parameters())])
        net.zero_grad()
    assert (found[0][0][~hidden[:, columns]] == 0).all() and (found[1][0] > 0).all()
    found[1][0] = found[1][0] * hidden[:, columns]
    torch.testing.assert_close(found[0], found[1])


def test_the_score_of_a_wide_row_is_of_columns_at_equal_distances() -> None:
    rows = independent(60, 300, 0)
    model = trained(rows, (300, 0), 2)
    net, tokens, seen = (
        model.conditionals,
        model.conditionals.tokens.of(rows.numbers, rows.positions),
        torch.ones(60, 300),
    )
    entropies = []
    for j in range(0, 300, 2):
        but_j = seen.clone()
        but_j[:, j] = 0
        logits = net.logits(j, net.shown(tokens, but_j), net.read(but_j), net.hidden(net.embedded(tokens, but_j)))
        own = tokens[:, j] - net.starts[j]
        entropies.append(torch.nn.functional.cross_entropy(logits, own, reduction="none"))
    scores = model.scores(rows.numbers, rows.classes)
    torch.testing.assert_close(scores, torch.exp(-torch.stack(entropies).mean(0)), rtol=1e-4, atol=0)


def test_a_column_does_not_see_itself_nor_what_is_hidden() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, (50, 4))
    tokens = Discretizer.fitted(rng.normal(size=(50, 2)).astype(np.float32), codes, [True, True], [3] * 4)
    numbers = torch.from_numpy(rng.normal(size=(50, 2)).astype(np.float32))
    counted = tokens.of(numbers, torch.from_numpy(codes))
    net = counting(tokens, counted).eval()
    torch.nn.init.normal_(net.moves)
    seen = torch.ones(50, 6)
    seen[:, [1, 3]] = 0
    other = counted.clone()
    other[:, [1, 3]] = counted[torch.randperm(50, generator=torch.Generator().manual_seed(0))][:, [1, 3]]
    logits = [
        net.logits(3, net.shown(rows, seen), net.read(seen), net.hidden(net.embedded(rows, seen)))
        for rows in (counted, other)
    ]
    assert torch.equal(*logits)


def trained(rows: Rows, encoder_columns: tuple[int, int], steps: int, latent: Latent = "synthetic") -> Redraw:
    representation = Representation(make_encoder(*encoder_columns))
    setting = Setting(representation=representation, latent=latent, classes=(1,), seed=0, device=CPU)
    model = Redraw.build(setting, None, lambda: rows)
    model.prepare(steps, 3e-3)
    model.train(True)
    for step in range(steps):
        drawn = torch.randint(0, len(rows), (64,), generator=torch.Generator().manual_seed(step))
        real, is_drawn = rows.take(drawn), torch.ones(64, dtype=torch.bool)
        model.step(Batch(step=step, real=real, is_drawn=is_drawn, smote=rows, slots=torch.arange(128), scale=1 / 128))
    model.finish()
    model.train(False)
    return model


def linked(n: int, seed: int) -> Rows:
    """The first category repeats the second but once in twenty; n1 is n0 with a little noise."""
    random = torch.Generator().manual_seed(seed)
    first = torch.randn(n, 1, generator=random)
    numbers = torch.cat([first, first + 0.1 * torch.randn(n, 1, generator=random)], dim=1)
    code = torch.randint(0, 4, (n, 1), generator=random)
    noise = torch.randint(0, 4, (n, 1), generator=random)
    same = torch.rand(n, 1, generator=random) < 0.95
    codes = torch.cat([torch.where(same, code, noise), code], dim=1)
    return Rows(numbers.clamp(-3, 3), codes + torch.tensor([2, 6]), torch.zeros(n, dtype=torch.int64))


@pytest.mark.parametrize("latent", ["synthetic", "noise"])
def test_redrawn_rows_keep_what_links_the_columns(latent: Latent) -> None:
    real = linked(400, 0)
    model = trained(real, (2, 2), 150, latent)
    start = linked(2000, 1)
    with torch.inference_mode():
        made = model.generated(start, torch.arange(2000))
        scores = model.scores(made, start.classes)
    codes = torch.stack([made[:, 2:6].argmax(1), made[:, 6:10].argmax(1)])
    assert (codes[0] == codes[1]).float().mean() > 0.85
    assert np.corrcoef(made[:, 0], made[:, 1])[0, 1] > 0.9
    assert abs(made[:, 0].mean() - real.numbers[:, 0].mean()) < 0.15
    assert ((scores > 0) & (scores <= 1)).all()
    changed = (made[:, :2] - start.numbers).abs() > 0.5
    assert (changed.any(dim=1).float().mean() > 0.6) == (latent == "noise")


def test_a_column_is_drawn_with_the_probabilities_of_the_model() -> None:
    logits = torch.tensor([[0.0, math.log(3), -math.inf, math.log(4)]]).expand(8000, 4)
    drawn = _drawn(logits, (torch.arange(8000) + 0.5) / 8000)
    assert torch.bincount(drawn, minlength=4).tolist() == [1000, 3000, 0, 4000]


def test_training_lowers_the_cross_entropy() -> None:
    rows = linked(300, 0)
    fresh, model = trained(rows, (2, 2), 0), trained(rows, (2, 2), 150)
    held = linked(300, 7)
    losses = []
    for net in (fresh.conditionals, model.conditionals):
        tokens = net.tokens.of(held.numbers, held.positions - torch.tensor([2, 6]))
        losses.append(-net.likelihood(tokens, 4).log().mean().item())
    assert losses[1] < losses[0] - 0.05


def test_rows_are_redrawn_from_their_base_rows_whatever_the_synthetic_rows_are(
    warehouse: Callable[..., Warehouse],
) -> None:
    refined = []
    for name in ("one", "two"):
        house = warehouse('model = "redraw"\nsteps = 5', categorical=1, name=name)
        if name == "two":
            rows = delta_rows(house.table("synthetic"))
            moved = {n: rows[n].to_numpy()[::-1] for n in house.encoder.names}
            for n, values in moved.items():
                rows = rows.set_column(rows.schema.get_field_index(n), rows.schema.field(n), pa.array(values))
            write_deltalake(house.table("synthetic"), rows, mode="overwrite")
        assert main([str(house.config_path)]) == 0
        refined.append(delta_rows(house.table("refined")).sort_by("synthetic_row_id").drop_columns("run_id"))
    assert refined[0].equals(refined[1])
    features = delta_rows(house.table("features")).to_pandas().set_index("row_id")
    synthetic = delta_rows(house.table("synthetic")).to_pandas().set_index("row_id")
    made = refined[0].to_pandas()
    base = features.loc[synthetic.loc[made["synthetic_row_id"], "base_row_id"]]
    # Half are kept, and some of the others drawn as they were.
    assert (made["c0"].to_numpy() == base["c0"].to_numpy()).mean() > 0.6

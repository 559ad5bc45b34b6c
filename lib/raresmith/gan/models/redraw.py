"""Redrawing columns: a model that says, from what is seen of a row, how the other columns are distributed.

Refining hides some columns of a synthetic row and draws them one after another, each given all the others, as a Gibbs
sampler does (Geman, Geman 1984, IEEE PAMI 6:721) from a masked model (Devlin et al. 2019, arXiv:1810.04805).
"""

import math
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from torch import nn

from raresmith.encoding.encoder import Feature
from raresmith.errors import DataError
from raresmith.gan import counter_rng
from raresmith.gan.counter_rng import Stream
from raresmith.gan.data.rows import Batch, Rows, sent
from raresmith.gan.models.base import Model, Setting
from raresmith.gan.models.discretizer import LEAST, MOST_TOKENS, Discretizer, frequent_from
from raresmith.gan.models.grids import is_even
from raresmith.gan.models.masked_columns import HIDDEN, MaskedColumns
from raresmith.gan.models.optimizer import adam
from raresmith.generators import redraw

SHARE = 0.5
"""Of the columns that are redrawn, on average."""
_OF_GATES = 3.0
"""Learning rate of the gates, in multiples: there are few, and each sees every row."""
_DROPOUT = 0.3
_DECAY = 0.05
_BETAS = (0.9, 0.99)
_WARM_UP = 30
_COLUMNS_PER_STEP = 8
_AVERAGE = 0.97
_CLIP = 5.0
_TILE, _TILE_CELLS = 1024, 2**18
"""Rows of which a column is drawn at a time, and values: of wide tables fewer rows, which stay in the cache."""


class Redraw(Model):
    """Rows of which some columns are drawn anew, or from noise all.

    Parameters
    ----------
    conditionals
        Counted on rows for the same setting, or empty, for all to be loaded.
    """

    spec: ClassVar = redraw.Redraw
    losses: ClassVar = ("masked",)
    trained_alike: ClassVar = True
    in_tiles: ClassVar = True
    padded: ClassVar = ("conditionals.tokens.edges",)
    holds: ClassVar = (
        "of each column by itself at most 32 real values of each token (a bin of a number, a category), and how many "
        "rows have each pair of tokens"
    )

    @classmethod
    def build(cls, setting: Setting, parameters: Any, rows: Callable[[], Rows]) -> Self:
        """The same on all ranks, for all count the same rows, on the CPU."""
        return cls(setting, _counted(setting, rows()))

    @classmethod
    def rebuild(cls, setting: Setting, parameters: Any, sizes: list[int]) -> Self:
        """`sizes` are how many tokens each column has."""
        return cls(setting, _uncounted(setting, sizes))

    def __init__(self, setting: Setting, conditionals: MaskedColumns) -> None:
        representation = setting.representation
        self.n_columns = len(representation.numeric) + len(representation.sizes)
        columns: list[Feature] = [*representation.numeric, *representation.categorical]
        raw = [i for i, column in enumerate(columns) if not column.made]
        self.raw_columns = torch.tensor(raw, dtype=torch.int64, device=setting.device)
        # The class is one more category, which is always seen.
        self.n_given = 1 if setting.condition_width else 0
        self.block_starts = torch.tensor(representation.starts, dtype=torch.int64, device=setting.device)
        self._tile = min(_TILE, max(1, _TILE_CELLS // self.n_columns))
        self.conditionals = conditionals
        super().__init__(setting, {"conditionals": conditionals})

    def prepare(self, steps: int, learning_rate: float) -> None:
        super().prepare(steps, learning_rate)
        self.steps = steps
        self.average = {name: p.detach().clone() for name, p in self.conditionals.named_parameters()}

    def optimizer(self, network: Any, learning_rate: float) -> torch.optim.AdamW:
        return _adam(network, learning_rate)

    @property
    def sizes(self) -> list[int]:
        return self.conditionals.sizes

    def check(self) -> None:
        super().check()
        if not self.conditionals.tokens.are_sound():
            raise DataError("has tokens without a value")

    def step(self, batch: Batch) -> torch.Tensor:
        """Hide some columns of each real row, from one to all, and learn what they were."""
        self._set_rate(batch.step)
        loss = self.descend("conditionals", batch, self._loss, _CLIP)
        with torch.no_grad():
            share = 1 - min(_AVERAGE, (batch.step + 1) / (batch.step + 10))
            torch._foreach_lerp_(list(self.average.values()), list(self.conditionals.parameters()), share)
        return loss[None]

    def _loss(self, part: Batch) -> torch.Tensor:
        tokens = self.conditionals.tokens.of(part.real.numbers, self._codes(part.real))
        drawn = counter_rng.uniform(
            counter_rng.key(self.seed, Stream.HIDE, part.step), part.slots[::2], self.n_columns + 1
        )
        n_hidden = 1 + (drawn[:, :1] * self.n_columns).long()
        hidden = _ranks(drawn[:, 1:]) < n_hidden
        columns = self._order(part.step)[:_COLUMNS_PER_STEP]
        # Dropout (Srivastava et al. 2014, JMLR 15:1929) drawn by slot: the same on any number of ranks.
        units = counter_rng.uniform(counter_rng.key(self.seed, Stream.DROPOUT, part.step), part.slots[::2], 2 * HIDDEN)
        factors = (units >= _DROPOUT).float() / (1 - _DROPOUT)
        entropies = self.parallel["conditionals"](tokens, self._seen(hidden), factors, columns)
        # Of each row the mean over its hidden columns, as far as these are among those of the step.
        weights = hidden[:, sent(columns, self.device)] / n_hidden
        return 2 * part.scale * (entropies * weights).sum() * self.n_columns / len(columns)

    def finish(self) -> None:
        """The weights are their averages over the last steps."""
        for name, parameter in self.conditionals.named_parameters():
            parameter.detach().copy_(self.average[name])

    def state(self) -> dict[str, torch.Tensor]:
        return super().state() | {f"average.{name}": tensor for name, tensor in self.average.items()}

    def generated(self, rows: Rows, counters: torch.Tensor) -> torch.Tensor:
        """Columns are drawn in one order for all rows; which are, is drawn for each row."""
        return self._drawn_anew(rows, counters, None)

    def completed(self, rows: Rows, counters: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        """All columns but those that are given are drawn."""
        return self._drawn_anew(rows, counters, given)

    def _drawn_anew(self, rows: Rows, counters: torch.Tensor, given: torch.Tensor | None) -> torch.Tensor:
        net = self.conditionals
        codes, numbers = self._codes(rows), rows.numbers
        tokens = net.tokens.of(numbers, codes)
        uniform = {
            stream: counter_rng.uniform(counter_rng.key(self.seed, stream), counters, self.n_columns)
            for stream in (Stream.HIDE, Stream.CATEGORY, Stream.WITHIN, Stream.MOVE)
        }
        numbers = net.tokens.moved(numbers, tokens, uniform[Stream.MOVE][:, : numbers.shape[1]])
        hidden = uniform[Stream.HIDE] < (SHARE if self.latent == "synthetic" else 1.0)
        if len(self.raw_columns):
            # One at least that the raw table has: a row that differs in windows alone is published as a copy.
            first = uniform[Stream.HIDE][:, self.raw_columns].argmin(dim=1)
            hidden.scatter_(1, self.raw_columns[first][:, None], True)
        if given is not None:
            hidden = (~given).expand_as(hidden)
            numbers = torch.where(given[: numbers.shape[1]], rows.numbers, numbers)
        seen = self._seen(hidden)
        embedded, read, shown = net.embedded(tokens, seen), net.read(seen), net.shown(tokens, seen)
        for j in self._order():
            for tile in _tiles(hidden[:, j].nonzero().squeeze(1), self._tile):
                logits = net.logits(j, shown.index_select(0, tile), read[tile], net.hidden(embedded[tile]))
                token = net.starts[j] + _drawn(logits, uniform[Stream.CATEGORY][tile, j])
                tokens[tile, j] = token
                embedded[tile] += net.embedded_column(token)
                read[tile] += net.reads[j]
            shown[:, j] = tokens[:, j]
        drawn = net.tokens.values(tokens[:, : self.n_columns], uniform[Stream.WITHIN])
        values = torch.where(hidden, drawn, torch.cat([numbers, codes], dim=1)[:, : self.n_columns])
        n_numbers = numbers.shape[1]
        return self.representation.join(
            values[:, :n_numbers], values[:, n_numbers : self.n_columns].long() + self.block_starts
        )

    def scores(self, made: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Geometric mean of the probability of each column given all others, of wide tables over some of them."""
        n_numbers = len(self.representation.numeric)
        blocks = made[:, n_numbers:].split(self.representation.sizes, dim=1) if self.representation.sizes else ()
        parts = [block.argmax(dim=1) for block in blocks] + ([classes] if self.n_given else [])
        codes = torch.stack(parts, dim=1) if parts else made.new_zeros((len(made), 0), dtype=torch.int64)
        tokens = self.conditionals.tokens.of(made[:, :n_numbers], codes)
        likelihood = torch.empty(len(made), device=made.device)
        for tile in _tiles(torch.arange(len(made), device=made.device), self._tile):
            likelihood[tile] = self.conditionals.likelihood(tokens[tile], self.n_columns)
        return likelihood

    def _codes(self, rows: Rows) -> torch.Tensor:
        codes = rows.positions - self.block_starts
        return torch.cat([codes, rows.classes[:, None]], dim=1) if self.n_given else codes

    def _seen(self, hidden: torch.Tensor) -> torch.Tensor:
        return torch.cat([~hidden, hidden.new_ones(len(hidden), self.n_given)], dim=1).float()

    def _order(self, step: int | None = None) -> list[int]:
        """All columns in an order of the step, or in the one that rows are made in; drawn on the CPU."""
        key = self._key(Stream.COLUMNS, step)
        order: list[int] = (
            counter_rng.uniform(key, torch.zeros(1, dtype=torch.int64), self.n_columns)[0].argsort().tolist()
        )
        return order

    def _set_rate(self, step: int) -> None:
        """Up in the first steps, then down along a cosine (Loshchilov, Hutter 2017, arXiv:1608.03983)."""
        share = min(1.0, (step + 1) / _WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * step / self.steps))
        for group in self.optimizers["conditionals"].param_groups:
            group["lr"] = group["peak"] * share


def _counted(setting: Setting, rows: Rows) -> MaskedColumns:
    """Tokens and pairs of real `rows` of the classes that are made."""
    representation = setting.representation
    columns, most = len(representation.numeric) + len(representation.sizes), MOST_TOKENS // LEAST
    if columns > most:
        raise DataError(
            f"the table has {columns:,} features, and refine.model = 'redraw', which counts each pair of them, takes "
            f"at most {most:,}; name fewer in prepare.features or set another refine.model"
        )
    codes = rows.positions - torch.tensor(representation.starts, dtype=torch.int64)
    if setting.condition_width:
        codes = torch.cat([codes, rows.classes[:, None]], dim=1)
    numbers = rows.numbers.numpy()
    frequent = frequent_from(len(numbers))
    between = [is_even(f, x, frequent) for f, x in zip(representation.numeric, numbers.T, strict=True)]
    tokens = Discretizer.fitted(numbers, codes.numpy(), between, _codes(setting))
    with setting.initial_weights():
        conditionals = MaskedColumns(tokens)
    conditionals.count(tokens.of(rows.numbers, codes))
    return conditionals


def _uncounted(setting: Setting, sizes: list[int]) -> MaskedColumns:
    """Empty tables to be loaded, for columns of as many tokens as `sizes` says."""
    representation = setting.representation
    n_numbers, codes = len(representation.numeric), _codes(setting)
    if len(sizes) != n_numbers + len(codes):
        raise DataError(f"has tokens of {len(sizes)} columns where its encoder has {n_numbers + len(codes)}")
    with setting.initial_weights():
        return MaskedColumns(Discretizer(sizes, n_numbers, codes))


def _codes(setting: Setting) -> list[int]:
    """Codes of each category; the class is the last of them where there are several."""
    return [*setting.representation.sizes, *([setting.condition_width] if setting.condition_width else [])]


def _ranks(numbers: torch.Tensor) -> torch.Tensor:
    """The place of each of the numbers (n, k) in the order of its row."""
    order = numbers.argsort(dim=1)
    return torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )


def _tiles(rows: torch.Tensor, size: int) -> tuple[torch.Tensor, ...]:
    """`rows` in tiles of one `size`, the last filled up with its last row.

    A matrix product may round differently for another number of rows.
    """
    n_tiles = -(-len(rows) // size)
    filled = torch.arange(n_tiles * size, device=rows.device).clamp(max=len(rows) - 1)
    return tuple(rows[tile] for tile in filled.view(n_tiles, size))


def _drawn(logits: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """A choice (n,) for each row of logits (n, k): where its uniform number (n,) falls among their shares."""
    upper = logits.softmax(dim=1).cumsum(dim=1)
    place = torch.searchsorted(upper, uniform[:, None] * upper[:, -1:]).squeeze(1)
    return place.clamp(max=logits.shape[1] - 1)


def _adam(network: MaskedColumns, learning_rate: float) -> torch.optim.AdamW:
    gates = {network.gates, network.reads, network.moves}
    matrices = {p for p in network.parameters() if p.dim() > 1} - gates
    vectors = set(network.parameters()) - gates - matrices
    inputs = {network.embedding.weight, network.first.weight}
    # What is added up over the columns moves as far in a step with many of them as with few.
    of_each = learning_rate * network.share_of_each
    groups = [
        {"params": _in_order(network, gates), "peak": _OF_GATES * of_each, "weight_decay": 0.0},
        {"params": _in_order(network, inputs), "peak": of_each, "weight_decay": _DECAY},
        {"params": _in_order(network, matrices - inputs), "peak": learning_rate, "weight_decay": _DECAY},
        {"params": _in_order(network, vectors), "peak": learning_rate, "weight_decay": 0.0},
    ]
    return adam(groups, learning_rate, _BETAS)


def _in_order(network: nn.Module, chosen: set[nn.Parameter]) -> list[nn.Parameter]:
    return [parameter for parameter in network.parameters() if parameter in chosen]

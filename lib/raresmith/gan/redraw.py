"""Redrawing columns: from what is seen of a row, how the other columns are distributed.

Refining hides a share of the columns of a synthetic row and draws them one after another, each given all the others, as
a Gibbs sampler does (Geman, Geman 1984, IEEE PAMI 6:721) from a masked model (Devlin et al. 2019, arXiv:1810.04805).
For token l of column j the model adds up

- the logarithm of its share of the rows;
- for each seen column i a gate times log P(l | token of i) / P(l), counted over the rows and smoothed in rank. From a
  few hundred rows no network learns that two columns almost repeat each other; counting shows it at once;
- a small network of all seen columns.

In training a row is taken out of the counts that it is compared with.
"""

import math
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from raresmith.gan import draws
from raresmith.gan.draws import Stream
from raresmith.gan.model import Batch, Model, Rows, Setting
from raresmith.gan.optimizer import adam
from raresmith.gan.tokens import Tokens

SHARE = 0.5
"""Of the columns that are redrawn."""
BETAS = (0.9, 0.99)
GATE = 0.25
_COLUMNS_PER_STEP = 8
_HIDDEN = 64
_DROPOUT = 0.3
_RANK = 8
_PRIOR = 4.0
"""Rows that the shares of all rows count for among those that are counted."""
_WIDE, _NARROW = 0.08, 0.03
"""How far in rank a number speaks for its neighbours: as what is seen, and as what is drawn."""
_OWN = 0.05
"""A value with this share of all rows speaks for nothing but itself."""
_AVERAGE = 0.97
_CURVES = 8


class Conditionals(nn.Module):  # type: ignore[misc]
    """Tokens (n, columns) and which are seen → logits of the tokens of some columns.

    Parameters
    ----------
    tokens
        Fitted on the rows that `counted` (n_rows, columns) are the tokens of.
    """

    def __init__(self, tokens: Tokens, counted: torch.Tensor) -> None:
        super().__init__()
        d, total = len(tokens.sizes), len(tokens)
        self.tokens, self.sizes, self.starts = tokens, tokens.sizes, tokens.starts
        narrow, wide = (_smoothing(tokens, width) for width in (_NARROW, _WIDE))
        weight = wide / wide.diagonal()[:, None]
        # rows[k] of token k, each spread over the tokens it speaks for; pairs[k, l] of k and of what l stands for
        spread = torch.zeros(total, total)
        for column in counted.T:
            spread.index_add_(0, column, _sum_of(narrow, counted))
        self.register_buffer("narrow", narrow)
        self.register_buffer("pairs", weight @ spread)
        self.register_buffer("rows", weight @ tokens.counts)
        shares = tokens.counts / len(counted)
        self.register_buffer("log_shares", shares.log())
        self.register_buffer("log_ratios", self._ratios(self.pairs, self.rows[:, None], slice(None)))
        ranks = tokens.ranks().clamp(1e-3, 1 - 1e-3)
        is_number = torch.tensor(tokens.is_number).repeat_interleave(torch.tensor(tokens.sizes))
        self.register_buffer("scores", torch.where(is_number, torch.special.ndtri(ranks), 0.0))
        curves = torch.cat([torch.cos(math.pi * f * ranks)[None] / f for f in range(1, _CURVES + 1)])
        self.register_buffer("curves", torch.cat([self.scores[None], curves]) * is_number)

        self.gates = nn.Parameter(torch.full((d, d), GATE))
        self.reads = nn.Parameter(0.1 * torch.randn(d, _RANK))
        self.moves = nn.Parameter(torch.zeros(_RANK, d, d))
        self.embedding = nn.Embedding(total, _HIDDEN)
        self.first = nn.Linear(2 * d, _HIDDEN)
        self.norm, self.block, self.last = nn.LayerNorm(_HIDDEN), nn.Linear(_HIDDEN, _HIDDEN), nn.LayerNorm(_HIDDEN)
        self.dropout = nn.Dropout(_DROPOUT)
        self.of_tokens = nn.Linear(_HIDDEN, total)
        self.of_curves = nn.Linear(_HIDDEN, d * (_CURVES + 1))
        for layer in (self.embedding, self.of_tokens, self.of_curves):
            nn.init.normal_(layer.weight, std=0.02)
        self.register_buffer("others", 1 - torch.eye(d))

    def forward(
        self, tokens: torch.Tensor, seen: torch.Tensor, columns: list[int], without_itself: bool = False
    ) -> list[torch.Tensor]:
        """For each of `columns` (n, its tokens). `seen` (n, columns) is 1 or 0; a column never sees itself.

        `without_itself` takes each row out of the counts, which it must be one of.
        """
        hidden = self._hidden(tokens, seen)
        read = seen @ self.reads
        logits = []
        for j in columns:
            here = slice(self.starts[j], self.starts[j + 1])
            gate = (self.gates[:, j] + read @ self.moves[:, :, j]) * seen * self.others[j]
            if without_itself:
                own = self.narrow[tokens[:, j], here]
                pairs = (self.pairs[:, here][tokens] - own[:, None]).clamp(min=0)
                ratios = self._ratios(pairs, (self.rows[tokens] - 1)[..., None], here)
            else:
                ratios = self.log_ratios[:, here][tokens]
            curves = self.of_curves(hidden)[:, j * (_CURVES + 1) : (j + 1) * (_CURVES + 1)] @ self.curves[:, here]
            of_net = curves + functional.linear(hidden, self.of_tokens.weight[here], self.of_tokens.bias[here])
            logits.append(self.log_shares[here] + torch.einsum("ni,nik->nk", gate, ratios) + of_net)
        return logits

    def _hidden(self, tokens: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        embedded = torch.einsum("ni,nih->nh", seen, self.embedding(tokens))
        hidden = functional.gelu(embedded + self.first(torch.cat([self.scores[tokens] * seen, seen], dim=1)))
        hidden = self.dropout(hidden)
        hidden = hidden + self.dropout(functional.gelu(self.block(self.norm(hidden))))
        return self.last(hidden)

    def _ratios(self, pairs: torch.Tensor, rows: torch.Tensor, here: slice) -> torch.Tensor:
        prior = _PRIOR * self.log_shares[here].exp()
        return ((pairs + prior) / (rows + _PRIOR)).log() - self.log_shares[here]


def _sum_of(narrow: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """What each row stands for: (n_rows, all tokens)."""
    return narrow[counted].sum(dim=1)


def _smoothing(tokens: Tokens, width: float) -> torch.Tensor:
    """What share of a token each token speaks for, within its column."""
    ranks, shares, blocks = tokens.ranks(), [], []
    for start, size, is_number in zip(tokens.starts, tokens.sizes, tokens.is_number, strict=False):
        here = slice(start, start + size)
        share = tokens.counts[here] / tokens.counts[here].sum()
        block = torch.eye(size)
        if is_number and size > 8:
            near = torch.exp(-((ranks[here, None] - ranks[None, here]) / width).square() / 2) * share
            alone = share >= _OWN
            near[:, alone] = 0
            block = torch.where(alone[:, None], block, near)
            block = block / block.sum(1, keepdim=True)
        blocks.append(block)
    return torch.block_diag(*blocks)


class Redraw(Model):
    """Rows whose columns are drawn anew, some of them (from synthetic rows) or all (from noise)."""

    losses: ClassVar = ("masked",)

    def __init__(self, setting: Setting, counted: Rows, learning_rate: float) -> None:
        representation = setting.representation
        sizes = [*representation.sizes, *([len(setting.classes)] if setting.condition_width else [])]
        numbers, codes = counted.numbers, self._codes(setting, counted)
        tokens = Tokens(numbers.numpy(), codes.numpy(), [f.step > 0 for f in representation.numeric], sizes)
        with setting.initial_weights():
            self.conditionals = Conditionals(tokens, tokens.of(numbers, codes))
        super().__init__(setting, {"conditionals": self.conditionals}, learning_rate, BETAS)
        self.setting = setting
        self.n_columns = len(representation.numeric) + len(representation.sizes)
        self.n_seen_always = len(sizes) - len(representation.sizes)
        self.average = {name: p.detach().clone() for name, p in self.conditionals.named_parameters()}

    @staticmethod
    def _codes(setting: Setting, rows: Rows) -> torch.Tensor:
        starts = torch.tensor(setting.representation.starts, device=rows.positions.device, dtype=torch.int64)
        codes = rows.positions - starts
        return torch.cat([codes, rows.classes[:, None]], dim=1) if setting.condition_width else codes

    def step(self, batch: Batch) -> torch.Tensor:
        """Hide some columns of each real row, from one to all, and learn what they were."""
        tokens = self.conditionals.tokens.of(batch.real.numbers, self._codes(self.setting, batch.real))
        n = len(tokens)
        places = draws.uniform(draws.key(self.seed, Stream.MASK, batch.step), batch.slots[::2], self.n_columns + 1)
        n_hidden = 1 + (places[:, :1] * self.n_columns).long()
        hidden = places[:, 1:].argsort(dim=1).argsort(dim=1) < n_hidden
        seen = torch.cat([(~hidden).float(), hidden.new_ones(n, self.n_seen_always).float()], dim=1)
        order = draws.uniform(draws.key(self.seed, Stream.COLUMNS, batch.step), torch.zeros(1, dtype=torch.int64), self.n_columns)
        columns = order[0].argsort()[:_COLUMNS_PER_STEP].tolist()
        logits = self.parallel["conditionals"](tokens, seen, columns, True)
        loss = tokens.new_zeros((), dtype=torch.float32)
        for j, of_column in zip(columns, logits, strict=True):
            here = slice(self.conditionals.starts[j], self.conditionals.starts[j + 1])
            target = self.conditionals.narrow[tokens[:, j], here]
            entropy = -(target * of_column.log_softmax(dim=1)).sum(dim=1)
            loss = loss + (entropy * hidden[:, j] / n_hidden[:, 0]).sum()
        loss = 2 * batch.scale * loss * self.n_columns / len(columns)
        self.descend("conditionals", loss)
        with torch.no_grad():
            share = 1 - min(_AVERAGE, (batch.step + 1) / (batch.step + 10))
            for name, parameter in self.conditionals.named_parameters():
                self.average[name].lerp_(parameter, share)
        return loss.detach()[None]

    def generated(self, rows: Rows, counters: torch.Tensor) -> torch.Tensor:
        """Columns are drawn in one order for all rows; which of them, is drawn for each row."""
        net = self.conditionals
        numbers, codes = rows.numbers.clone(), self._codes(self.setting, rows)
        tokens = net.tokens.of(numbers, codes)
        move = draws.uniform(draws.key(self.seed, Stream.MIX), counters, numbers.shape[1])
        numbers = net.tokens.moved(numbers, tokens, move)
        key = draws.key(self.seed, Stream.MASK)
        share = SHARE if self.latent == "synthetic" else 1.0
        hidden = draws.uniform(key, counters, self.n_columns) < share
        seen = torch.cat([(~hidden).float(), hidden.new_ones(len(rows), self.n_seen_always).float()], dim=1)
        gumbel = draws.gumbel(draws.key(self.seed, Stream.CATEGORY), counters, len(net.tokens))
        within = draws.uniform(draws.key(self.seed, Stream.LATENT), counters, self.n_columns)
        order = draws.uniform(draws.key(self.seed, Stream.COLUMNS), torch.zeros(1, dtype=torch.int64), self.n_columns)
        for j in order[0].argsort().tolist():
            here = slice(net.starts[j], net.starts[j + 1])
            (logits,) = net(tokens, seen, [j])
            drawn = net.starts[j] + (logits + gumbel[:, here]).argmax(dim=1)
            values = net.tokens.values(drawn, within[:, j])
            redrawn = hidden[:, j]
            tokens[:, j] = torch.where(redrawn, drawn, tokens[:, j])
            if j < numbers.shape[1]:
                numbers[:, j] = torch.where(redrawn, values, numbers[:, j])
            else:
                i = j - numbers.shape[1]
                codes[:, i] = torch.where(redrawn, values.long(), codes[:, i])
            seen[:, j] = 1
        starts = torch.tensor(self.representation.starts, device=codes.device, dtype=torch.int64)
        return self.representation.join(numbers, codes[:, : len(starts)] + starts)

    def scores(self, made: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(made))

"""How the columns of a row are distributed, given some of the others.

For token l of column j the model adds up

- the logarithm of its share of the rows;
- for each seen column i a gate times log P(l | token of i) / P(l), counted over the rows and smoothed in rank. From a
  few hundred rows no network learns that two columns almost repeat each other; counting shows it at once. The gates are
  learnt, and depend on which columns are seen;
- a small network of all seen columns.

In training a row is taken out of the counts that it is compared with.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from raresmith.gan.data.rows import sent
from raresmith.gan.models.discretizer import Discretizer

GATE = 0.25
"""Of each pair of columns at the start, in tables of at most _FULL columns."""
_FULL = 64
"""Columns; of more each speaks for less at the start, and learns more slowly: what they all say adds up."""
HIDDEN = 64
_RANK = 8
"""Of the part of the gates that depends on what is seen; of wide tables less, down to 1."""
_MOVES = 2**22
"""Weights of that part up to which the rank is whole: up to 724 columns."""
_PRIOR = 4.0
"""Rows that the shares of all rows count for among those that are counted."""
_WIDE, _NARROW = 0.08, 0.03
"""How far in rank a number speaks for its neighbours: as what is seen, and as what is drawn."""
_ALONE = 0.05
"""A value with this share of all rows speaks for nothing but itself."""
_FEW = 8
"""So do all values of a number that has no more."""
_CURVES = 8
"""Cosines of the rank that the network draws a number's logits with, beside what it says of each token."""
_SCORED = 256
"""Columns that the score of a row is the mean over."""
_CHUNK = 4096


class _Own(NamedTuple):
    """What one column has of the parameters."""

    gates: torch.Tensor
    moves: torch.Tensor
    curves: torch.Tensor
    curves_bias: torch.Tensor
    tokens: torch.Tensor
    tokens_bias: torch.Tensor


class MaskedColumns(nn.Module):  # type: ignore[misc]
    """Tokens (n, columns), which columns are seen (n, columns: 1 or 0), factors of the hidden units (n, 2 * HIDDEN: 0
    where dropped out) and columns → the cross-entropy of each of these (n, len(columns)) with the row itself, spread in
    rank.

    Parameters
    ----------
    tokens
        Fitted on the rows that are to be counted, or empty, for all to be loaded.
    """

    def __init__(self, tokens: Discretizer) -> None:
        super().__init__()
        d, total = len(tokens.sizes), len(tokens)
        self.tokens, self.sizes, self.starts = tokens, tokens.sizes, tokens.starts
        # What rows of each token stand for among those of its column. It follows from the tokens, and training alone
        # asks for it, on rows that it has counted.
        self.register_buffer("narrow", torch.zeros(total, max(tokens.sizes)), persistent=False)
        self.register_buffer("pairs", torch.zeros(total, total))
        """Rows of a token, and of those it speaks for, that stand for another token."""
        for name in ("rows", "log_shares", "normal_scores"):
            self.register_buffer(name, torch.zeros(total))
        self.register_buffer("curves", torch.zeros(1 + _CURVES, total))
        self.ratios: list[torch.Tensor] = []
        self.register_load_state_dict_post_hook(self._forget_ratios)

        self.share_of_each = min(1.0, _FULL / d)
        self.gates = nn.Parameter(torch.full((d, d), GATE * self.share_of_each))
        rank = max(1, min(_RANK, _MOVES // d**2))
        self.reads = nn.Parameter(0.1 * torch.randn(d, rank))
        self.moves = nn.Parameter(torch.zeros(d, rank, d))
        self.embedding = nn.Embedding(total, HIDDEN)
        self.first = nn.Linear(2 * d, HIDDEN)
        self.norm, self.block, self.last = nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, HIDDEN), nn.LayerNorm(HIDDEN)
        self.of_tokens = nn.Linear(HIDDEN, total)
        self.of_curves = nn.Linear(HIDDEN, d * (_CURVES + 1))
        for layer in (self.embedding, self.of_tokens, self.of_curves):
            nn.init.normal_(layer.weight, std=0.02)

    def count(self, counted: torch.Tensor) -> None:
        """Count the pairs of the rows, given as tokens (n_rows, columns), that the tokens were fitted on."""
        self._forget_ratios()
        tokens, total = self.tokens, len(self.tokens)
        narrow, wide = (_smoothing(tokens, width) for width in (_NARROW, _WIDE))
        self.narrow = torch.cat([functional.pad(block, (0, max(self.sizes) - len(block))) for block in narrow])
        spread = torch.zeros(total, total)
        for rows in counted.split(_CHUNK):
            own = zip(rows.T, self.sizes, strict=True)
            stands_for = torch.cat([self.narrow[column, :size] for column, size in own], dim=1)
            for column in rows.T:
                spread.index_add_(0, column, stands_for)
        self.pairs, self.rows = spread, torch.empty(total)
        for j, block in enumerate(wide):
            weight, span = block / block.diagonal()[:, None], self._span(j)
            self.pairs[span] = weight @ spread[span]
            self.rows[span] = weight @ tokens.counts[span]
        self.n_counted = len(counted)
        self.log_shares = (tokens.counts / len(counted)).log()
        ranks = tokens.ranks().clamp(1e-3, 1 - 1e-3)
        is_number = torch.tensor(tokens.is_number).repeat_interleave(torch.tensor(tokens.sizes))
        self.normal_scores = torch.where(is_number, torch.special.ndtri(ranks), 0.0)
        curves = torch.stack([torch.cos(math.pi * f * ranks) / f for f in range(1, _CURVES + 1)])
        self.curves = torch.cat([self.normal_scores[None], curves * is_number])

    def train(self, mode: bool = True) -> "MaskedColumns":
        """As of every module; counts and weights stay as they are while rows are made, so what follows from them is
        computed here, and what follows from the counts alone once."""
        columns = [] if mode else range(len(self.sizes))
        with torch.no_grad():
            if columns and (not self.ratios or self.ratios[0].device != self.pairs.device):
                spans = [self._span(j) for j in columns]
                # A last one, of 0, for what is not seen.
                self.ratios = [
                    functional.pad(self._ratios(self.pairs[:, span], self.rows[:, None], span), (0, 0, 0, 1))
                    for span in spans
                ]
            self.heads = [self._head(j, own) for j, own in enumerate(self._own(columns))]
            self.inputs = None if mode else self._inputs()
        super().train(mode)
        return self

    def _forget_ratios(self, *_: Any) -> None:
        self.ratios = []

    def forward(
        self, tokens: torch.Tensor, seen: torch.Tensor, factors: torch.Tensor, columns: list[int]
    ) -> torch.Tensor:
        hidden = self.hidden(self.embedded(tokens, seen), factors)
        log_rows = ((self.rows[tokens] - 1).clamp_(min=0) + _PRIOR).log_()
        of_rows = (tokens, seen, hidden, log_rows, self.read(seen))
        entropies = []
        for j, own in zip(columns, self._own(columns), strict=True):
            if self.share_of_each == 1.0 or seen.device.type != "cpu":
                entropies.append(self._entropy(j, own, *of_rows))
                continue
            # Nothing is to be learnt of a column where it is seen. Which rows these are a GPU would be waited for.
            rows = (seen[:, j] == 0).nonzero().squeeze(1)
            entropy = self._entropy(j, own, *(part.index_select(0, rows) for part in of_rows))
            entropies.append(entropy.new_zeros(len(seen)).index_copy(0, rows, entropy))
        return torch.stack(entropies, dim=1)

    def _entropy(
        self,
        j: int,
        own: "_Own",
        tokens: torch.Tensor,
        seen: torch.Tensor,
        hidden: torch.Tensor,
        log_rows: torch.Tensor,
        read: torch.Tensor,
    ) -> torch.Tensor:
        """The cross-entropy of column j of some rows: (n,)."""
        span = self._span(j)
        target = self.narrow[tokens[:, j], : self.sizes[j]]
        shares = self._shares_without(target, span)
        prior = (_PRIOR * shares)[:, None]
        # Copied first: in the whole table each read would be of another page of memory.
        pairs = functional.embedding(tokens, self.pairs[:, span].contiguous())
        pairs.add_(prior - target[:, None]).clamp_(min=prior).log_()
        gates = (own.gates + read @ own.moves) * seen
        # What `_ratios` takes off each of these logarithms, taken off their sums.
        rest = (gates * log_rows).sum(dim=1, keepdim=True) + gates.sum(dim=1, keepdim=True) * shares.log()
        logits = torch.einsum("ni,nik->nk", gates, pairs) - rest + self._of_hidden(j, own, hidden)
        return functional.cross_entropy(logits, target, reduction="none")

    def embedded(self, tokens: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """The seen columns, added up: (n, HIDDEN)."""
        if not self.training:
            return functional.embedding_bag(tokens, self.inputs, per_sample_weights=seen, mode="sum") + self.first.bias
        scores = functional.linear(torch.cat([self.normal_scores[tokens] * seen, seen], dim=1), self.first.weight)
        # A product with what is seen of all tokens: to look the embeddings up would copy them row by row.
        seen_tokens = seen.new_zeros(len(seen), len(self.tokens)).scatter_(1, tokens, seen)
        return seen_tokens @ self.embedding.weight + scores + self.first.bias

    def embedded_column(self, token: torch.Tensor) -> torch.Tensor:
        """What a column adds to `embedded` once its tokens (n,) are seen; while rows are made."""
        return functional.embedding(token, self.inputs)

    def _inputs(self) -> torch.Tensor:
        """What each token adds to `embedded`: (all tokens, HIDDEN)."""
        of_scores, of_columns = self.first.weight.T.split(len(self.sizes))
        column = torch.arange(len(self.sizes)).repeat_interleave(torch.tensor(self.sizes)).to(of_scores.device)
        return self.embedding.weight + self.normal_scores[:, None] * of_scores[column] + of_columns[column]

    def hidden(self, embedded: torch.Tensor, factors: torch.Tensor | None = None) -> torch.Tensor:
        """The network's layers above it: (n, HIDDEN)."""
        first, second = (1.0, 1.0) if factors is None else factors.split(HIDDEN, dim=1)
        hidden = functional.gelu(embedded) * first
        hidden = hidden + functional.gelu(self.block(self.norm(hidden))) * second
        return self.last(hidden)

    def read(self, seen: torch.Tensor) -> torch.Tensor:
        """What the gates take from which columns are seen: (n, rank)."""
        if self.training:
            return seen @ self.reads
        # A product may round a row differently beside others.
        columns = torch.arange(len(self.sizes), device=seen.device).expand(seen.shape)
        return functional.embedding_bag(columns, self.reads, per_sample_weights=seen, mode="sum")

    def shown(self, tokens: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """The tokens (n, columns), with one that stands for nothing where a column is not seen."""
        return torch.where(seen > 0, tokens, self.nothing).int()

    @property
    def nothing(self) -> int:
        """The token of what is not seen."""
        return len(self.tokens)

    def logits(self, j: int, shown: torch.Tensor, read: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Of the tokens of column j, which must not be seen, (n, its tokens); while rows are made.

        `read` may be one row for all.
        """
        weights = (self.gates[j] + read @ self.moves[j]).expand(shown.shape).contiguous()
        of_pairs = functional.embedding_bag(shown, self.ratios[j], per_sample_weights=weights, mode="sum")
        return of_pairs + functional.linear(hidden, *self.heads[j])

    def _own(self, columns: Sequence[int]) -> list["_Own"]:
        """What each of `columns` has of the parameters, taken at once: each piece of a parameter that is taken costs a
        gradient as large as all of it."""
        device, sizes = self.gates.device, [self.sizes[j] for j in columns]
        places = sent(list(columns), device)
        tokens = sent([token for j in columns for token in range(self.starts[j], self.starts[j + 1])], device)
        curves = self.of_curves
        return [
            _Own(*parts)
            for parts in zip(
                self.gates[places],
                self.moves[places],
                curves.weight.view(-1, _CURVES + 1, HIDDEN)[places],
                curves.bias.view(-1, _CURVES + 1)[places],
                self.of_tokens.weight[tokens].split(sizes),
                self.of_tokens.bias[tokens].split(sizes),
                strict=True,
            )
        ]

    def _of_hidden(self, j: int, own: "_Own", hidden: torch.Tensor) -> torch.Tensor:
        """What the network says of the tokens of column j, with their shares."""
        span = self._span(j)
        of_curves = functional.linear(hidden, own.curves, own.curves_bias)
        of_tokens = functional.linear(hidden, own.tokens, own.tokens_bias)
        return self.log_shares[span] + of_tokens + of_curves @ self.curves[:, span]

    def _head(self, j: int, own: "_Own") -> tuple[torch.Tensor, torch.Tensor]:
        """Weight and bias of the one layer that `_of_hidden` is."""
        bias = self._of_hidden(j, own, own.tokens.new_zeros(1, HIDDEN))
        weight = self._of_hidden(j, own, torch.eye(HIDDEN, device=bias.device)) - bias
        return weight.T.contiguous(), bias[0]

    def likelihood(self, tokens: torch.Tensor, n_columns: int) -> torch.Tensor:
        """Geometric mean over the first columns, of many over at most _SCORED at equal distances, of the probability of
        each, given all others: (n,)."""
        columns = range(0, n_columns, -(-n_columns // _SCORED))
        total = torch.zeros(len(tokens), device=tokens.device)
        seen = torch.ones(tokens.shape, device=tokens.device)
        embedded, read, shown = self.embedded(tokens, seen), self.read(seen[:1]), self.shown(tokens, seen)
        for j in columns:
            own = tokens[:, j]
            shown[:, j] = self.nothing
            hidden = self.hidden(embedded - self.embedded_column(own))
            logits = self.logits(j, shown, read - self.reads[j], hidden)
            shown[:, j] = own
            total -= functional.cross_entropy(logits, own - self.starts[j], reduction="none")
        return torch.exp(total / len(columns))

    def _span(self, j: int) -> slice:
        return slice(self.starts[j], self.starts[j + 1])

    def _shares_without(self, target: torch.Tensor, span: slice) -> torch.Tensor:
        """Shares of the tokens of a column (n, its tokens) among the rows but the one that `target` stands for.

        Beside the shares of all rows the counts without a row would show, by what they lack, which row it was.
        """
        counts = self.n_counted * self.log_shares[span].exp()
        return (counts - target).clamp_(min=0.5) / max(1, self.n_counted - 1)

    def _prior(self, span: slice) -> torch.Tensor:
        """Rows that each token counts for before any is counted."""
        return _PRIOR * self.log_shares[span].exp()

    def _ratios(self, pairs: torch.Tensor, rows: torch.Tensor, span: slice) -> torch.Tensor:
        """log P(l | k) / P(l)."""
        return (pairs + self._prior(span)).div_(rows + _PRIOR).log_().sub_(self.log_shares[span])


def _smoothing(tokens: Discretizer, width: float) -> list[torch.Tensor]:
    """By column what share of a row with a token stands for each token of it: (its tokens, its tokens)."""
    ranks, blocks = tokens.ranks(), []
    for start, size, is_number in zip(tokens.starts[:-1], tokens.sizes, tokens.is_number, strict=True):
        here = slice(start, start + size)
        share = tokens.counts[here] / tokens.counts[here].sum()
        block = torch.eye(size)
        if is_number and size > _FEW:
            near = torch.exp(-((ranks[here, None] - ranks[None, here]) / width).square() / 2) * share
            alone = share >= _ALONE
            near[:, alone] = 0
            block = torch.where(alone[:, None], block, near)
            block = block / block.sum(1, keepdim=True)
        blocks.append(block)
    return blocks

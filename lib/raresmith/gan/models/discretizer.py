"""Columns as tokens: a category or a frequent number is one of its own, other numbers share bins of equal counts."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

MOST_TOKENS = 2**14
"""Of all columns, as far as these can do with it: what is counted of each pair of tokens takes 1 GiB then."""
LEAST = 4
"""Tokens that a column may have however many columns there are."""
_FEW = 64
"""A number with at most so many values has a token for each."""
_BINS = 32
_ROWS_PER_BIN = 5
_FREQUENT = 0.02
"""Share of the rows from which on a value has a token of its own."""
_CODES = 256
_PLACES = 32
"""Values of a token that one is drawn from, or between."""
_HALVES = (16, 8, 4, 2, 1)
_MOVED = 2.0


class Discretizer(nn.Module):  # type: ignore[misc]
    """The tokens of each column, numbered one column after the other: first those of numbers, then those of codes.

    A number's tokens cover the whole line, so that any row has tokens. What a token stands for is kept as at most 32 of
    its values, at equal distances in rank. `fitted` makes them; a new object is empty, for its tables to be loaded.

    Parameters
    ----------
    sizes
        Tokens of each column.
    n_numbers
        Columns that are numbers; they come first.
    codes
        Codes of each category.
    """

    def __init__(self, sizes: Sequence[int], n_numbers: int, codes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = [*sizes]
        """Tokens of each column."""
        self.codes = [*codes]
        """Codes of each category."""
        self.starts = [0, *accumulate(sizes)]
        self.is_number = [j < n_numbers for j in range(len(sizes))]
        """Of each column."""
        total = self.starts[-1]
        self.register_buffer("edges", torch.full((n_numbers, max(sizes[:n_numbers], default=1) - 1), torch.inf))
        self.register_buffer("of_code", torch.zeros((len(codes), max(codes, default=0)), dtype=torch.int64))
        self.register_buffer("places", torch.zeros((total, _PLACES)))
        self.register_buffer("n_places", torch.ones(total, dtype=torch.int64))
        self.register_buffer("between", torch.zeros(total, dtype=torch.bool))
        self.register_buffer("counts", torch.zeros(total))
        self.register_buffer("first", torch.tensor(self.starts[:-1]))

    @classmethod
    def fitted(
        cls, numbers: NDArray[np.float32], codes: NDArray[np.int64], between: list[bool], sizes: list[int]
    ) -> "Discretizer":
        """The tokens of rows.

        Parameters
        ----------
        numbers : ndarray of shape (n_rows, n_numeric)
        codes : ndarray of shape (n_rows, n_categorical)
            From 0 to below its size.
        between
            Whether what lies between two of a number's values is as right as these.
        sizes
            Codes of each category.
        """
        most = max(LEAST, MOST_TOKENS // max(1, numbers.shape[1] + codes.shape[1]))
        cut = [_cut(np.sort(x), most) for x in numbers.T]
        grouped = [_grouped(np.sort(x), size, most) for x, size in zip(codes.T, sizes, strict=True)]
        groups = [[*column] for _, column in [*cut, *grouped]]
        tokens = cls([len(column) for column in groups], len(cut), sizes)
        places = [_places(group) for column in groups for group in column]
        _fill(tokens.edges, [edges for edges, _ in cut])
        _fill(tokens.of_code, [token_of for token_of, _ in grouped])
        _fill(tokens.places, places)
        tokens.n_places = torch.tensor([len(p) for p in places])
        between = [*between, *[False] * len(sizes)]
        tokens.between = torch.tensor(between).repeat_interleave(torch.tensor(tokens.sizes))
        tokens.counts = torch.tensor([float(len(group)) for column in groups for group in column])
        return tokens

    def are_sound(self) -> bool:
        """Whether every row finds a token of its column and every token a value, whoever wrote the tables."""
        n_numbers = len(self.edges)
        sizes = torch.tensor(self.sizes, device=self.edges.device)
        beyond = torch.arange(self.edges.shape[1], device=sizes.device) >= sizes[:n_numbers, None] - 1
        codes = self.places[self.starts[n_numbers] :]
        n_codes = torch.tensor(self.codes, device=sizes.device).repeat_interleave(sizes[n_numbers:])
        return bool(
            (self.edges[beyond] == torch.inf).all()
            and self.edges[~beyond].isfinite().all()
            and ((self.of_code >= 0) & (self.of_code < sizes[n_numbers:, None])).all()
            and ((codes >= 0) & (codes < n_codes[:, None])).all()
            and ((self.n_places >= 1) & (self.n_places <= _PLACES)).all()
            and self.first.tolist() == self.starts[:-1]
        )

    def __len__(self) -> int:
        return self.starts[-1]

    def of(self, numbers: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Tokens (n, columns) of rows."""
        of_numbers = torch.searchsorted(self.edges, numbers.T.contiguous(), right=True).T
        of_codes = self.of_code.gather(1, codes.T).T
        return torch.cat([of_numbers, of_codes], dim=1) + self.first

    def values(self, tokens: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        """A value of each token: a number, or the place of a code in its block."""
        n = self.n_places[tokens]
        picked = self.places[tokens, torch.minimum((uniform * n).long(), n - 1)]
        return torch.where(self.between[tokens], self._at(tokens, uniform * (n - 1)), picked)

    def moved(self, numbers: torch.Tensor, tokens: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        """Numbers (n, numeric) moved by up to _MOVED places, but not out of their token, where others lie between."""
        tokens = tokens[:, : numbers.shape[1]]
        n = self.n_places[tokens]
        below = torch.zeros_like(tokens)
        # Places below the number, found by halving: to read all of them for each number would take ten times as long.
        for step in _HALVES:
            below += step * ((self.places[tokens, below + step - 1] < numbers) & (below + step <= n))
        at = below + _MOVED * (2 * uniform - 1)
        at = torch.minimum(at.abs(), 2 * (n - 1) - at).clamp(min=0)
        return torch.where(self.between[tokens] & (n > 1), self._at(tokens, at), numbers)

    def _at(self, tokens: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        """The value at a place, between two of them if it is no whole number."""
        low = torch.minimum(at.long(), (self.n_places[tokens] - 2).clamp(min=0))
        left = self.places[tokens, low]
        right = self.places[tokens, torch.minimum(low + 1, self.n_places[tokens] - 1)]
        return left + (at - low) * (right - left)

    def ranks(self) -> torch.Tensor:
        """Share of its column's rows below the middle of each token; of codes too, where it means nothing."""
        columns = self.counts.split(self.sizes)
        return torch.cat([(column.cumsum(0) - column / 2) / column.sum() for column in columns])


def frequent_from(n_rows: int) -> float:
    """How many of the rows must have a number for it to have a token of its own."""
    return max(_FREQUENT * n_rows, _ROWS_PER_BIN)


def _cut(x: NDArray[np.float32], most: int) -> tuple[NDArray[np.float32], list[NDArray[Any]]]:
    """Edges between the at most `most` tokens of sorted numbers, and the numbers of each."""
    values, counts = np.unique(x, return_counts=True)
    if len(values) <= min(_FEW, most):
        # The middle of two neighbouring floats may round to the lower one, which belongs below the edge.
        edges = np.maximum((values[:-1] + values[1:]) / 2, np.nextafter(values[:-1], np.float32(np.inf)))
    else:
        frequent = values[counts >= frequent_from(len(x))]
        # Each of them may part the bin that it lies in, and one more bin has what is above the last edge.
        alone = np.argsort(-counts[np.isin(values, frequent)], kind="stable")[: max(0, (most - 2) // 2)]
        single = np.sort(frequent[alone])
        rest = x[~np.isin(x, single)]
        n_bins = max(2, min(_BINS, most - 2 * len(single), len(rest) // _ROWS_PER_BIN))
        even = rest[np.arange(1, n_bins) * len(rest) // n_bins] if len(rest) else rest
        edges = np.unique(np.concatenate([even, single, np.nextafter(single, np.float32(np.inf))]))
        # A token without rows goes to the one above it, the last to the one below.
        edges = edges[np.bincount(np.searchsorted(edges, x, side="right"), minlength=len(edges) + 1)[:-1] > 0]
        if len(edges) and edges[-1] > x[-1]:
            edges = edges[:-1]
    return edges, np.split(x, np.searchsorted(x, edges, side="left"))


def _grouped(x: NDArray[np.int64], size: int, most: int) -> tuple[NDArray[np.int64], list[NDArray[Any]]]:
    """The token of each of `size` codes, and the sorted codes of each: the most frequent alone, all others together."""
    counts = np.bincount(x, minlength=size)
    order = np.argsort(-counts, kind="stable")
    n_alone = min(int((counts > 0).sum()), _CODES, most)
    token_of = np.full(size, n_alone - 1)
    token_of[order[:n_alone]] = np.arange(n_alone)
    tokens = token_of[x]
    return token_of, [x[tokens == token] for token in range(n_alone)]


def _places(group: NDArray[Any]) -> NDArray[np.float32]:
    """At most _PLACES of sorted values, at equal distances in rank."""
    at = np.round(np.linspace(0, len(group) - 1, min(len(group), _PLACES))).astype(int)
    return np.asarray(group[at] if len(np.unique(group)) > 1 else group[:1], np.float32)


def _fill(table: torch.Tensor, parts: list[NDArray[Any]]) -> None:
    """Write each part to the start of its row."""
    for row, part in zip(table, parts, strict=True):
        row[: len(part)] = torch.from_numpy(part)

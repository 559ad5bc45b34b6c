"""The tables of quality.py, as they are and as the numbers that rows are judged by."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Rows = NDArray[np.float64]
"""(n, columns): numbers as they are, dates as days since 1970, instants as seconds, categories as codes."""
ROOT = Path(__file__).parents[1]
_FILES = {
    "creditcard": "creditcard/creditcard.parquet",
    "bank_marketing": "mixed/bank_marketing.parquet",
    "vehicle_claims": "mixed/vehicle_claims.parquet",
    "abalone": "paper/abalone.csv",
    "yeast": "paper/yeast_2_vs_4.csv",
    "winequality": "paper/winequality_red_8_vs_6.csv",
}
TABLES = [*_FILES, "handbook", "cards"]
_IDENTIFIERS = {"PolicyNumber"}


@dataclass(frozen=True, eq=False)
class Table:
    """A table in memory; `y` is 1 for the minority."""

    frame: pd.DataFrame
    y: NDArray[np.int64]
    is_categorical: NDArray[np.bool_]

    @cached_property
    def x(self) -> Rows:
        return self.rows(self.frame)

    def rows(self, frame: pd.DataFrame) -> Rows:
        """Rows of the same columns as numbers."""
        columns = zip(frame.items(), self.is_categorical, strict=True)
        return np.stack([self._numbers(str(name), x, codes) for (name, x), codes in columns], axis=1)

    def _numbers(self, name: str, x: "pd.Series[Any]", are_codes: np.bool_) -> NDArray[np.float64]:
        if are_codes and not pd.api.types.is_numeric_dtype(x):
            return pd.Categorical(x, categories=sorted(set(self.frame[name]))).codes.astype(float)
        if pd.api.types.is_datetime64_any_dtype(x):
            return x.to_numpy("datetime64[us]").astype(float) / 1e6
        if x.dtype == object:
            return x.to_numpy("datetime64[D]").astype(float)
        return x.to_numpy(float)


@dataclass(frozen=True, eq=False)
class Given:
    """What a way of making rows is told."""

    table: Table
    of_minority: NDArray[np.int64]
    """Which rows of the table are given."""
    of_majority: NDArray[np.int64]
    n_rows: int
    """To be made."""
    seed: int

    @property
    def minority(self) -> Rows:
        return self.table.x[self.of_minority]

    @property
    def is_categorical(self) -> NDArray[np.bool_]:
        return self.table.is_categorical


def read(name: str, data: Path) -> Table:
    if name == "handbook":
        return _handbook()
    if name == "cards":
        return _cards()
    path = data / _FILES[name]
    frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    y = frame.pop("Class" if "Class" in frame else "label").to_numpy()
    frame = frame.drop(columns=[c for c in frame if c in _IDENTIFIERS])
    return Table(frame, y, np.array([not pd.api.types.is_numeric_dtype(frame[c]) for c in frame]))


def _handbook() -> Table:
    from raresmith.gan.data.tables import query, read_table

    found = query(read_table(str(ROOT / "warehouse" / "handbook" / "features")), "SELECT * FROM t").read_all()
    frame = found.to_pandas().sort_values("row_id")  # a query gives them in any order
    frame = frame[frame["split"] == "train"].drop(columns=["row_id", "split", "run_id"])
    y = frame.pop("label").to_numpy()
    return Table(frame, y, np.array([frame[c].nunique() == 2 for c in frame]))


def _cards() -> Table:
    """20,000 accounts, 5 % of them of the minority: each column has something of the raw tables of banks."""
    rng, n = np.random.default_rng(0), 20_000
    y = rng.random(n) < 0.05
    loan = 500 * np.maximum(np.round(rng.lognormal(8 + 0.3 * y, 0.6) / 500), 1)
    opened = np.datetime64("2018-01-01") + (rng.integers(0, 1800, n) * (1 - 0.2 * y)).astype("timedelta64[D]")
    ends = opened + rng.integers(30, 900, n).astype("timedelta64[D]")
    frame = pd.DataFrame(
        {
            "amount": np.round(rng.lognormal(3.5 + 0.5 * y, 1), 2),
            "cashback": np.where(
                rng.random(n) < np.where(y, 0.55, 0.7), 0, np.round(rng.gamma(2, 3, n) * np.where(y, 1.4, 1), 2)
            ),
            "loan": np.where(rng.random(n) < 0.15, -1, loan).astype(np.int32),
            "credit_limit": np.minimum(np.round(rng.lognormal(8.3 - 0.2 * y, 0.7) / 100) * 100, 10_000).astype(
                np.int32
            ),
            "opened": pd.Series(opened).dt.strftime("%Y%m%d").astype(np.int32),
            "valid_until": np.where(rng.random(n) < 0.3, np.datetime64("9999-12-31"), ends).astype("object"),
            "seen_at": np.datetime64("2023-01-01", "us") + rng.integers(0, 180 * 86_400, n).astype("timedelta64[s]"),
            "tries": rng.poisson(2 + 2 * y).astype(np.int32),
            "channel": np.where(rng.random(n) < 0.3 + 0.2 * y, "web", np.where(rng.random(n) < 0.5, "pos", "atm")),
        }
    )
    return Table(frame, y.astype(np.int64), np.array([c == "channel" for c in frame]))

"""Where the neighbours of some rows are looked for: decided here, for `oversample`, cleaning, `publish` and `plan`."""

from dataclasses import dataclass
from typing import Any, Literal

from raresmith.errors import DataError, Key
from raresmith.neighbors.cells import Fit
from raresmith.spark.neighbors.feature_matrix import FeatureColumns


@dataclass(frozen=True, kw_only=True)
class NeighborSearch:
    """Where the neighbours of some rows are looked for, and whether each executor gets all of the rows."""

    n_rows: int
    n_features: int
    row_bytes: int
    """As `FeatureColumns.row_bytes` has it."""
    max_exact_bytes: int
    neighbors: Literal["auto", "exact", "cells", "partition"] = "auto"
    """As in `[oversample]`."""

    @classmethod
    def among(
        cls,
        n_rows: int,
        features: FeatureColumns,
        max_exact_bytes: int,
        neighbors: Literal["auto", "exact", "cells", "partition"] = "auto",
    ) -> "NeighborSearch":
        """The search among so many rows of these features."""
        return cls(
            n_rows=n_rows,
            n_features=len(features.names),
            row_bytes=features.row_bytes,
            max_exact_bytes=max_exact_bytes,
            neighbors=neighbors,
        )

    @property
    def size(self) -> int:
        """What the rows take, in bytes."""
        return self.n_rows * self.row_bytes

    @property
    def fits(self) -> bool:
        """Whether every executor has room for the rows."""
        return self.size <= self.max_exact_bytes

    @property
    def where(self) -> Literal["exact", "cells", "partition"]:
        """Among all rows, in spatial cells, or in parts by hash."""
        if self.neighbors != "auto":
            return self.neighbors
        return "exact" if self.fits else "cells"

    def check(self, class_name: str) -> None:
        """Raise DataError where the rows are to be searched exactly and there is no room for them."""
        if self.fits or self.where != "exact":
            return
        raise DataError(
            "class {class_name!r} has {n_rows} train rows of {n_features} features, {size} bytes, but {limit} is "
            "{max_exact_bytes}; raise it if every executor has three times that much memory for each of its cores, or "
            'set {neighbors} = "cells"',
            class_name=class_name,
            n_rows=self.n_rows,
            n_features=self.n_features,
            size=self.size,
            limit=Key("oversample.max_exact_bytes"),
            max_exact_bytes=self.max_exact_bytes,
            neighbors=Key("oversample.neighbors"),
        )

    def measures(self, fit: Fit | None) -> dict[str, Any]:
        """For the note of the run; `fit` is that of the cells, if there are any."""
        return {"neighbors": self.where, **({"recall": 1.0} if fit is None else fit.measures())}

"""Where neighbours are looked for is decided once."""

from typing import Literal

import pytest
from tests.spark.oversample.test_oversample import MIXED, encoder_of, numeric

from raresmith.encoding.encoder import Encoder
from raresmith.errors import DataError
from raresmith.spark.neighbors.feature_matrix import FeatureColumns
from raresmith.spark.neighbors.neighbor_search import NeighborSearch

FLOATS = encoder_of(*[numeric(name) for name in "abcd"])


def search(
    n_rows: int, encoder: Encoder = FLOATS, neighbors: Literal["auto", "exact", "cells", "partition"] = "auto"
) -> NeighborSearch:
    return NeighborSearch.among(n_rows, FeatureColumns.of(encoder), 2**20, neighbors)


def test_as_many_rows_as_fit_are_searched_exactly_and_one_more_in_cells() -> None:
    most = 2**20 // (8 + 4 * 4)
    assert search(most).where == "exact"
    assert search(most + 1).where == "cells"
    assert not search(most + 1).fits


def test_one_column_of_doubles_makes_all_columns_take_eight_bytes() -> None:
    # Of the four features of MIXED one is double.
    most = 2**20 // (8 + 4 * 8)
    assert search(most, MIXED).where == "exact"
    assert search(most + 1, MIXED).where == "cells"


@pytest.mark.parametrize("neighbors", ["exact", "cells", "partition"])
def test_what_is_asked_for_by_name_is_done_and_exact_only_where_there_is_room(
    neighbors: Literal["exact", "cells", "partition"],
) -> None:
    few, many = search(10, neighbors=neighbors), search(10**6, neighbors=neighbors)
    assert few.where == many.where == neighbors
    few.check("fraud")
    if neighbors != "exact":
        many.check("fraud")
        return
    with pytest.raises(DataError, match=r"class 'fraud' has 1000000 train rows of 4 features, 24000000 bytes, but"):
        many.check("fraud")

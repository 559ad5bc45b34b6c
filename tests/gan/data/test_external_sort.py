from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from deltalake import DeltaTable
from tests.delta_rows import delta_rows
from tests.gan.conftest import Warehouse

from raresmith.errors import DataError
from raresmith.gan.data import external_sort
from raresmith.gan.data.batches import read_row_index, read_rows
from raresmith.gan.data.external_sort import read_pieces
from raresmith.gan.data.representation import Representation
from raresmith.gan.data.tables import RowSource, train_rows
from raresmith.gan.generation import generate
from raresmith.gan.train import main


@dataclass(frozen=True, eq=False)
class CountedSource(RowSource):
    """Rows that know how often they were read."""

    scans: tuple[list[int], ...] = ([],)

    def batches(self, names: Iterable[str], condition: str = "true") -> pa.RecordBatchReader:
        self.scans[0].append(1)
        return super().batches(names, condition)


@pytest.fixture
def house(warehouse: Callable[..., Warehouse]) -> Warehouse:
    made = warehouse(categorical=2, real={0: 30, 1: 40}, synthetic={0: 700, 1: 2300})
    made.write_synthetic({0: 700, 1: 2300}, reverse=True)
    return made


@pytest.fixture(autouse=True)
def spilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, its rows parted every few batches."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setattr(external_sort, "_GATHERED", 1000)
    return folder


@pytest.mark.parametrize("from_base", [False, True])
@pytest.mark.parametrize("bounds", [[(0, 3000)], [(0, 500), (500, 1100), (1100, 3000)], [(900, 1000), (1000, 1001)]])
def test_pieces_are_the_rows_in_order_and_several_take_one_scan(
    house: Warehouse, spilled: Path, bounds: list[tuple[int, int]], from_base: bool
) -> None:
    source = CountedSource(DeltaTable(house.table("synthetic")), scans=([],))
    if from_base:
        source = replace(source, base=train_rows(DeltaTable(house.table("features")), (0, 1)))
    representation, order = Representation(house.encoder), read_row_index(source)
    source.scans[0].clear()
    pieces = list(read_pieces(source, order, bounds, representation))
    assert len(source.scans[0]) == 1
    assert list(spilled.iterdir()) == []
    for (low, high), (rows, row_ids) in zip(bounds, pieces, strict=True):
        expected, expected_ids = read_rows(source, order, low, high, representation)
        assert np.array_equal(row_ids, expected_ids)
        for name in ("numbers", "positions", "classes"):
            assert torch.equal(getattr(rows, name), getattr(expected, name)), name


def test_nothing_is_left_behind_where_the_rows_changed_meanwhile(house: Warehouse, spilled: Path) -> None:
    source = RowSource(DeltaTable(house.table("synthetic")))
    order = read_row_index(source)
    house.write_synthetic({0: 700, 1: 2299})
    changed = RowSource(DeltaTable(house.table("synthetic")))
    with pytest.raises(DataError, match="gave other rows on a second read"):
        list(read_pieces(changed, order, [(0, 1000), (1000, 3000)], Representation(house.encoder)))
    assert list(spilled.iterdir()) == []


@pytest.mark.parametrize("model", ["gan", "redraw"])
def test_the_size_of_a_piece_changes_no_refined_row(
    model: str, warehouse: Callable[..., Warehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = []
    for name, piece in (("large", generate.PIECE), ("small", generate.BLOCK)):
        monkeypatch.setattr(generate, "PIECE", piece)
        house = warehouse(f'model = "{model}"\nsteps = 5', categorical=1, synthetic={0: 3000, 1: 6000}, name=name)
        assert main([str(house.config_path)]) == 0
        tables.append(delta_rows(house.table("refined")).sort_by("row_id").combine_chunks())
    assert len(tables[0]) == 9000
    assert tables[0] == tables[1]

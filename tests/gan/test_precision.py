"""Training in bfloat16."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from deltalake import write_deltalake
from safetensors.torch import load_file
from tests.delta_rows import delta_rows
from tests.gan.conftest import Warehouse

from raresmith.gan.train import main
from raresmith.generators.registry import GENERATORS


def trained(house: Warehouse) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """The weights and the losses."""
    assert main([str(house.config_path)]) == 0
    folder = Path(house.table("models")) / "r"
    losses = json.loads((folder / "model.json").read_text())["losses"]
    return load_file(folder / "model.safetensors"), np.array(losses)[:, 1:]


@pytest.mark.parametrize("model", GENERATORS)
def test_bfloat16_trains_nearly_as_float32_does_and_its_weights_and_rows_are_float32(
    model: str, warehouse: Callable[..., Warehouse]
) -> None:
    settings = f'model = "{model}"\nsteps = 60\ncheckpoint_every = 20'
    houses = [
        warehouse(f'{settings}\nprecision = "{precision}"', categorical=1, name=precision)
        for precision in ("float32", "bfloat16")
    ]
    write_deltalake(houses[1].table("features"), delta_rows(houses[0].table("features")), mode="overwrite")
    (exact, losses), (rough, of_rough) = (trained(house) for house in houses)
    assert {key: tensor.dtype for key, tensor in rough.items()} == {key: tensor.dtype for key, tensor in exact.items()}
    assert not {tensor.dtype for tensor in rough.values()} & {torch.bfloat16, torch.float16}
    assert len(losses) == 3
    np.testing.assert_allclose(of_rough, losses, rtol=0.02, atol=0.02 * np.abs(losses).max())
    # bfloat16 has 8 bits: what differs by less was computed otherwise. Only products of matrices are computed in it.
    has_matrices = any(tensor.dim() > 1 for tensor in exact.values())
    assert (np.abs(of_rough / losses - 1).max() > 1e-5) == has_matrices
    # Near one, bfloat16 has a hundred numbers where float32 has ten million.
    distinct = [len(set(delta_rows(house.table("refined"))["n0"].to_pylist())) for house in houses]
    assert distinct[1] > 0.9 * distinct[0]

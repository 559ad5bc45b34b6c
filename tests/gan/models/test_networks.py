import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from raresmith.gan.launch import environment
from raresmith.gan.models.networks import Discriminator, Generator


def trainable(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def running(network: nn.Module) -> int:
    """What Keras counts as non-trainable: means and variances of BatchNorm."""
    return sum(buffer.numel() for name, buffer in network.named_buffers() if "num_batches" not in name)


def sizes(network: nn.Module) -> list[tuple[int, int]]:
    return [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, nn.Linear)]


def test_the_small_generator_has_the_published_parameters() -> None:
    generator = Generator("small", 29, 29)
    assert sizes(generator) == [(29, 32), (32, 64), (64, 128), (128, 29)]
    assert trainable(generator) == 15_581
    assert trainable(generator) + running(generator) == 16_029


def test_the_small_discriminator_has_the_published_parameters() -> None:
    discriminator = Discriminator("small", 29)
    assert sizes(discriminator) == [(29, 128), (128, 64), (64, 32), (32, 32), (32, 16), (16, 1)]
    assert trainable(discriminator) == 15_777
    assert running(discriminator) == 0


def test_the_small_generator_ends_linear_and_normalises_after_each_relu() -> None:
    kinds = [type(layer).__name__ for layer in Generator("small", 4, 4).layers]
    assert kinds == ["Linear", "ReLU", "GlobalBatchNorm"] * 3 + ["Linear"]


def test_the_smotified_networks_have_the_sizes_of_the_paper() -> None:
    assert sizes(Generator("smotified", 7, 7)) == [(7, 128), (128, 256), (256, 512), (512, 1024), (1024, 7)]
    discriminator = Discriminator("smotified", 7)
    assert sizes(discriminator) == [(7, 512), (512, 256), (256, 128), (128, 1)]
    slopes = {layer.negative_slope for layer in discriminator.layers if isinstance(layer, nn.LeakyReLU)}
    assert slopes == {0.2}


def test_weights_start_as_he_proposed() -> None:
    torch.manual_seed(0)
    layer = Generator("smotified", 50, 50).layers[9]
    assert layer.weight.shape == (1024, 512)
    assert layer.weight.std().item() == pytest.approx((2 / 512) ** 0.5, rel=0.02)
    assert not layer.bias.any()


_RANK = """
import sys, torch, torch.distributed as dist
from safetensors.torch import load_file, save_file
from raresmith.gan.models.networks import GlobalBatchNorm
dist.init_process_group("gloo")
rows, slopes = load_file(sys.argv[1]).values()
mine = slice(0, 11) if dist.get_rank() == 0 else slice(11, None)
norm = GlobalBatchNorm(rows.shape[1])
part = rows[mine].clone().requires_grad_(True)
for _ in range(3):
    made = norm(part)
made.backward(slopes[mine])
found = {"made": made.detach(), "slope": part.grad, "mean": norm.running_mean, "variance": norm.running_var}
save_file(found, f"{sys.argv[1]}.{dist.get_rank()}")
dist.barrier()
dist.destroy_process_group()
"""


@pytest.mark.torchrun
def test_two_ranks_normalise_unequal_shares_as_one_does_all_rows_also_far_from_zero(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(32, 3, generator=generator) * torch.tensor([1.0, 0.5, 3.0]) + torch.tensor([0.0, 2000.0, -5e3])
    slopes = torch.randn(32, 3, generator=generator)
    alone, whole = nn.BatchNorm1d(3), rows.clone().requires_grad_(True)
    for _ in range(3):
        made = alone(whole)
    made.backward(slopes)
    save_file({"rows": rows, "slopes": slopes}, tmp_path / "rows")
    (tmp_path / "rank.py").write_text(_RANK)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*torchrun, tmp_path / "rank.py", tmp_path / "rows"], check=True, env=environment())
    ranks = [load_file(tmp_path / f"rows.{rank}") for rank in range(2)]
    assert torch.allclose(torch.cat([rank["made"] for rank in ranks]), made.detach(), atol=5e-3)
    assert torch.allclose(torch.cat([rank["slope"] for rank in ranks]), whole.grad, rtol=1e-2, atol=1e-3)
    for rank in ranks:
        assert torch.allclose(rank["mean"], alone.running_mean, rtol=1e-5)
        assert torch.allclose(rank["variance"], alone.running_var, rtol=1e-3)

import pytest
import torch
from torch import nn

from raresmith.gan.networks import Discriminator, Generator


def trainable(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def running(network: nn.Module) -> int:
    """What Keras counts as non-trainable: means and variances of BatchNorm."""
    return sum(buffer.numel() for name, buffer in network.named_buffers() if "num_batches" not in name)


def sizes(network: nn.Module) -> list[tuple[int, int]]:
    return [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, nn.Linear)]


def test_the_small_generator_has_the_published_parameters():
    generator = Generator("small", 29, 29)
    assert sizes(generator) == [(29, 32), (32, 64), (64, 128), (128, 29)]
    assert trainable(generator) == 15_581
    assert trainable(generator) + running(generator) == 16_029


def test_the_small_discriminator_has_the_published_parameters():
    discriminator = Discriminator("small", 29)
    assert sizes(discriminator) == [(29, 128), (128, 64), (64, 32), (32, 32), (32, 16), (16, 1)]
    assert trainable(discriminator) == 15_777
    assert running(discriminator) == 0


def test_the_small_generator_ends_linear_and_normalises_after_each_relu():
    kinds = [type(layer).__name__ for layer in Generator("small", 4, 4).layers]
    assert kinds == ["Linear", "ReLU", "GlobalBatchNorm"] * 3 + ["Linear"]


def test_the_smotified_networks_have_the_sizes_of_the_paper():
    assert sizes(Generator("smotified", 7, 7)) == [(7, 128), (128, 256), (256, 512), (512, 1024), (1024, 7)]
    discriminator = Discriminator("smotified", 7)
    assert sizes(discriminator) == [(7, 512), (512, 256), (256, 128), (128, 1)]
    slopes = {layer.negative_slope for layer in discriminator.layers if isinstance(layer, nn.LeakyReLU)}
    assert slopes == {0.2}


def test_weights_start_as_he_proposed():
    torch.manual_seed(0)
    layer = Generator("smotified", 50, 50).layers[9]
    assert layer.weight.shape == (1024, 512)
    assert layer.weight.std().item() == pytest.approx((2 / 512) ** 0.5, rel=0.02)
    assert not layer.bias.any()

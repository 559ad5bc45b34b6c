"""The Wasserstein GAN with gradient penalty."""

from typing import ClassVar

from raresmith.generators import gan
from raresmith.generators.base import Generator


class WganGp(Generator):
    """The Wasserstein GAN with gradient penalty of Gulrajani et al. 2017 (arXiv:1704.00028); a step is one of its
    critic."""

    name: ClassVar = "wgan_gp"
    title: ClassVar = "Wasserstein GAN with gradient penalty"
    networks: ClassVar = "raresmith.gan.models.wgan_gp:WganGp"
    Parameters = gan.Gan.Parameters  # type: ignore[assignment]

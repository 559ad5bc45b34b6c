"""The generative adversarial network."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from raresmith.generators.base import Generator


class Gan(Generator):
    """The GAN of Goodfellow et al. 2014 (arXiv:1406.2661)."""

    name: ClassVar = "gan"
    title: ClassVar = "GAN"
    networks: ClassVar = "raresmith.gan.models.gan:Gan"
    private_networks: ClassVar = "raresmith.gan.privacy.private_gan:PrivateGan"

    @dataclass(frozen=True, kw_only=True)
    class Parameters:
        """Its own keys of `[refine]`."""

        architecture: Literal["small", "smotified"] = "small"
        """small: generator d-32-64-128-d, discriminator d-128-64-32-32-16-1; smotified: d-128-256-512-1024-d and
        d-512-256-128-1 (Sharma et al. 2022, IEEE Access 10:30655)."""

"""The variational autoencoder."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from raresmith.generators.base import Generator


class Vae(Generator):
    """The variational autoencoder of Kingma, Welling 2014 (arXiv:1312.6114)."""

    name: ClassVar = "vae"
    title: ClassVar = "Variational autoencoder"
    networks: ClassVar = "raresmith.gan.models.vae:Vae"

    @dataclass(frozen=True, kw_only=True)
    class Parameters:
        """Its own keys of `[refine]`."""

        architecture: Literal["small", "smotified"] = "small"
        """small: encoder d-128-64 to 16 places, decoder the other way round; smotified: d-512-256-128 to 64."""

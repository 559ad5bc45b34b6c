"""The variational autoencoder of Kingma, Welling 2014 (arXiv:1312.6114), for rows of numbers and categories."""

from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from raresmith.gan.data.rows import Batch, Rows
from raresmith.gan.models.base import Model, Setting
from raresmith.gan.models.optimizer import adam
from raresmith.generators import vae

BETAS = (0.9, 0.999)
_HIDDEN = {"small": (128, 64), "smotified": (512, 256, 128)}
_PLACES = {"small": 16, "smotified": 64}
_LARGEST = 7.0
"""Of the logarithm of a variance: beyond it the loss is no longer finite before it learns."""


class Vae(Model):
    """An encoder that says where a row lies in a small normal space, and a decoder that makes rows of its places.

    From SMOTE rows, a row is made at a place drawn around that of its SMOTE row; from noise, at one drawn from the
    standard normal distribution.
    """

    spec: ClassVar = vae.Vae
    losses: ClassVar = ("reconstruction", "divergence")
    trained_alike: ClassVar = True

    def __init__(self, setting: Setting, parameters: vae.Vae.Parameters) -> None:
        with setting.initial_weights():
            self.autoencoder = Autoencoder(
                setting.representation.width,
                setting.condition_width,
                len(setting.representation.numeric),
                _HIDDEN[parameters.architecture],
                _PLACES[parameters.architecture],
            )
        super().__init__(setting, {"autoencoder": self.autoencoder})

    def optimizer(self, network: Any, learning_rate: float) -> torch.optim.AdamW:
        return adam(network.parameters(), learning_rate, BETAS)

    def step(self, batch: Batch) -> torch.Tensor:
        """The autoencoder learns from the real rows of the batch."""
        return self.descend("autoencoder", batch, self._losses)

    def _losses(self, part: Batch) -> torch.Tensor:
        rows = self.inputs(part.real)
        noise = self.noise(part.slots[::2], self.autoencoder.places, part.step)
        raw, mean, log_variance = self.parallel["autoencoder"](rows, noise)
        n_numeric = len(self.representation.numeric)
        log_noise = self.autoencoder.log_noise
        error = (raw[:, :n_numeric] - part.real.numbers) / log_noise.exp()
        reconstruction = (error.square() / 2 + log_noise).sum()
        starts = zip(self.representation.starts, self.representation.sizes, strict=True)
        for i, (start, size) in enumerate(starts):
            target = part.real.positions[:, i] - start
            reconstruction = reconstruction + functional.cross_entropy(
                raw[:, start : start + size], target, reduction="sum"
            )
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum() / 2
        return 2 * part.scale * torch.stack([reconstruction, divergence])

    def generated(self, rows: Rows, counters: torch.Tensor) -> torch.Tensor:
        """Numbers get the noise that the decoder found in real ones, or all rows would lie on its surface."""
        places, n_numeric = self.autoencoder.places, len(self.representation.numeric)
        noise = self.noise(counters, places + n_numeric)
        if self.latent == "synthetic":
            place = self.autoencoder.place(self.inputs(rows), noise[:, :places])[0]
        else:
            place = noise[:, :places]
        raw = self.autoencoder.decoder(self.conditioned(place, rows.classes))
        numbers = raw[:, :n_numeric] + noise[:, places:] * self.autoencoder.log_noise.exp()
        return self.activate(torch.cat([numbers, raw[:, n_numeric:]], dim=1), counters)

    def scores(self, made: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """exp of minus how far a row lies from what the autoencoder makes of it, on average of its columns: of a number
        the distance, of a category the probability of any other."""
        mean, _ = self.autoencoder.encoder(self.conditioned(made, classes)).chunk(2, dim=1)
        again = self.autoencoder.decoder(self.conditioned(mean, classes))
        n_numeric = len(self.representation.numeric)
        parts = [(again[:, :n_numeric] - made[:, :n_numeric]).abs()]
        for start, size in zip(self.representation.starts, self.representation.sizes, strict=True):
            here = slice(start, start + size)
            parts.append(1 - (again[:, here].softmax(dim=1) * made[:, here]).sum(dim=1, keepdim=True))
        return torch.exp(-torch.cat(parts, dim=1).mean(dim=1))


class Autoencoder(nn.Module):  # type: ignore[misc]
    """Rows (n, d + classes) and noise (n, places) → raw rows (n, d), and mean and log variance of their places.

    Hidden layers with ReLU, He initialisation. `log_noise` is the logarithm of each number's standard deviation around
    what the decoder says.
    """

    def __init__(self, d: int, classes: int, numbers: int, hidden: tuple[int, ...], places: int) -> None:
        super().__init__()
        self.places, self.classes = places, classes
        self.encoder = _perceptron(d + classes, *hidden, 2 * places)
        self.decoder = _perceptron(places + classes, *reversed(hidden), d)
        self.log_noise = nn.Parameter(torch.zeros(numbers))

    def place(self, rows: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """A place drawn for each row, and the mean and log variance that it is drawn with."""
        mean, log_variance = self.encoder(rows).float().chunk(2, dim=1)
        log_variance = log_variance.clamp(-_LARGEST, _LARGEST)
        return mean + noise * torch.exp(log_variance / 2), mean, log_variance

    def forward(self, rows: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        place, mean, log_variance = self.place(rows, noise)
        condition = rows[:, rows.shape[1] - self.classes :]
        return self.decoder(torch.cat([place, condition], dim=1)).float(), mean, log_variance


def _perceptron(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
        nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="relu")
        nn.init.zeros_(layers[-2].bias)
    return nn.Sequential(*layers[:-1])

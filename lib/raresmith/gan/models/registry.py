"""The models that `refine.model` names."""

from collections.abc import Callable

from raresmith.config import RefineConfig
from raresmith.gan.models.base import Model, Setting
from raresmith.gan.models.gan import Gan
from raresmith.gan.models.masked_columns import Conditionals
from raresmith.gan.models.redraw import Redraw
from raresmith.gan.models.vae import Vae
from raresmith.gan.models.wgan_gp import WganGp
from raresmith.gan.privacy.private_gan import PrivateGan

_NETWORKS: dict[str, type[Gan] | type[WganGp] | type[Vae]] = {"gan": Gan, "wgan_gp": WganGp, "vae": Vae}
FAMILY = ("redraw", *_NETWORKS)


def make_model(setting: Setting, settings: RefineConfig, conditionals: Callable[[], Conditionals]) -> Model:
    """The model of the configuration, untrained; `conditionals` makes those of `Redraw`, which alone needs them."""
    if settings.model == "redraw":
        return Redraw(setting, conditionals(), steps=settings.steps, learning_rate=settings.step_size)
    network = PrivateGan if settings.privacy is not None else _NETWORKS[settings.model]
    return network(setting, settings.architecture, settings.step_size)

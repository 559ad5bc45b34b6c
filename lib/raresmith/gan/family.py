"""The models that `refine.model` names."""

from raresmith.config import RefineConfig
from raresmith.gan.model import Model, Setting
from raresmith.gan.vae import Vae
from raresmith.gan.vanilla import Gan
from raresmith.gan.wgan_gp import WganGp

FAMILY: dict[str, type[Gan] | type[WganGp] | type[Vae]] = {"gan": Gan, "wgan_gp": WganGp, "vae": Vae}


def make_model(setting: Setting, settings: RefineConfig) -> Model:
    """The model of the configuration, untrained."""
    return FAMILY[settings.model](setting, settings.architecture, settings.learning_rate)

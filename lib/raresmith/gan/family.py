"""The models that `refine.model` names."""

from collections.abc import Callable

from raresmith.config import RefineConfig
from raresmith.gan.model import Model, Rows, Setting
from raresmith.gan.redraw import Redraw
from raresmith.gan.vae import Vae
from raresmith.gan.vanilla import Gan
from raresmith.gan.wgan_gp import WganGp

_NETWORKS: dict[str, type[Gan] | type[WganGp] | type[Vae]] = {"gan": Gan, "wgan_gp": WganGp, "vae": Vae}
FAMILY = ("redraw", *_NETWORKS)


def make_model(setting: Setting, settings: RefineConfig, read_counted: Callable[[], Rows]) -> Model:
    """The model of the configuration, untrained; `read_counted` reads real rows as `Redraw` wants them."""
    if settings.model == "redraw":
        return Redraw(setting, read_counted(), steps=settings.steps, learning_rate=settings.step_size)
    return _NETWORKS[settings.model](setting, settings.architecture, settings.step_size)

"""`refine --only-generate`: make `refined` anew by the run's saved model, without training."""

from raresmith.config import Config
from raresmith.encoding.encoder import Encoder
from raresmith.errors import DataError
from raresmith.gan.artifacts.model_reader import load_model
from raresmith.gan.data import tables
from raresmith.gan.generation.refined_table import write_refined
from raresmith.gan.ranks import Ranks
from raresmith.gan.stage.ledger import LEFT_OUT
from raresmith.gan.stage.on_ranks import Stage
from raresmith.tables.stage_report import StageReport


def only_generate(config: Config, ranks: Ranks) -> StageReport:
    """Refine the synthetic rows that there are now, as one of the stage's processes; the report is the same in each.

    The saved model says how rows are made; of [refine] only the device and the processes count.

    Raises
    ------
    DataError
        If there is no model, or it was trained on columns or classes other than those that there are now.
    """
    if config.run.incremental:
        return StageReport(stage="refine", words=LEFT_OUT)
    stage = Stage.begin(config, ranks, tables.generate_run)
    if report := stage.done_before():
        return report
    location = tables.model_location(config)
    saved = load_model(location, ranks.device)
    check_encoder(saved.encoder, stage.encoder, location)
    if strangers := sorted(set(stage.synthetic_index.counts()) - set(saved.model.classes)):
        raise DataError(
            f"synthetic has rows of the classes {strangers} but the model in {location} makes {saved.model.classes}; "
            "run refine to train one that fits"
        )
    write_refined(stage, saved.model, saved.called, private=saved.card.get("differential_privacy") is not None)
    return stage.done_now()


def check_encoder(of_model: Encoder, now: Encoder, location: str) -> None:
    """Refuse a model that was trained on rows encoded in another way than the warehouse's."""
    if of_model == now:
        return
    ours, theirs = ({feature.name: feature for feature in encoder.features} for encoder in (of_model, now))
    differing = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    raise DataError(
        f"the model in {location} was trained on rows that are encoded otherwise than now (columns: "
        f"{differing[:5] or 'the label or the raw schema'}); run refine to train one that fits"
    )

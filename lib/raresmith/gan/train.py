"""Refine the synthetic rows: train the GAN, let the generator rewrite every synthetic row, write them as one table.

    python -m raresmith.gan.train CONFIG                                      one process
    python -m raresmith.gan.train CONFIG --only-generate                      by the saved model, without training
    torchrun --standalone --nproc-per-node 2 -m raresmith.gan.train CONFIG    several, on CPUs (gloo) or GPUs (nccl)

Any rank may die at any time: torchrun starts all again and they go on from the newest checkpoint, which lies in
models/<run_id> of the warehouse. Ranks on several machines need a warehouse that all of them see.
"""

import argparse
import logging
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch

from raresmith.config import Config, RefineConfig, load_config
from raresmith.errors import DataError
from raresmith.gan import refusal
from raresmith.gan.artifacts import checkpoint
from raresmith.gan.artifacts.checkpoint import Checkpoints
from raresmith.gan.artifacts.saved_model import save_model
from raresmith.gan.data import tables
from raresmith.gan.data.batches import BatchLoader, RowIndex, read_row_index, read_rows, read_spread, without_features
from raresmith.gan.data.representation import Representation
from raresmith.gan.data.tables import RowSource
from raresmith.gan.folder import open_folder
from raresmith.gan.generation.only_generate import only_generate
from raresmith.gan.generation.refined_table import write_refined
from raresmith.gan.models.base import Model, Setting
from raresmith.gan.privacy.private_gan import make_batch_sampler
from raresmith.gan.ranks import Ranks, finish, start
from raresmith.gan.stage.ledger import LEFT_OUT
from raresmith.gan.stage.on_ranks import Stage
from raresmith.gan.training.compiler import can_compile
from raresmith.gan.training.early_stopping import EarlyStopping, make_early_stopping
from raresmith.gan.training.progress import Progress
from raresmith.log import RESULT, show
from raresmith.signals import during, ended_by_signals
from raresmith.tables.lease import under_way
from raresmith.tables.stage_report import ONLY_GENERATE, StageReport

NOT_FINITE = (
    "the losses of the model are no longer finite at step {step}; lower refine.learning_rate, now {learning_rate}, or "
    "choose another of prepare.normalise for columns with huge values"
)

logger = logging.getLogger("raresmith.gan.train")  # not by __name__, which is __main__ in the processes of torchrun


def refine(config: Config, ranks: Ranks) -> StageReport:
    """Do the stage `refine` as one of its processes; the report is the same in each.

    Raises
    ------
    DataError
        If a table is missing or holds what the networks cannot use, or the training does not stay finite.
    """
    if config.run.incremental:
        return StageReport(stage="refine", words=LEFT_OUT)
    stage = Stage.begin(config, ranks, tables.refine_run)
    if report := stage.done_before():
        return report

    # Data: the index of all rows here, their values below and only this rank's share
    classes = tuple(stage.synthetic_index.counts())
    real = tables.train_rows(stage.features, classes)
    real_index = read_row_index(real)
    if missing := sorted(set(classes) - set(real_index.counts())):
        raise DataError(
            f"synthetic has rows of the classes {missing} but features has no train row of them; run oversample again"
        )

    # Networks
    settings, private = config.refine, config.refine.privacy is not None
    setting = Setting(
        representation=Representation(stage.encoder),
        latent=settings.latent,
        classes=classes,
        seed=config.run.random_state,
        device=ranks.device,
    )
    networks: type[Model] = stage.spec.model(private=private)
    model = networks.build(setting, stage.parameters, lambda: read_spread(real, real_index, setting.representation))

    # Training, unless it is done and only the rows are missing
    trained = checkpoint.whole(stage.model_folder, "model") if ranks.is_main else None
    trained = trained if trained and stage.run.made(trained[1]) else None
    if trained:
        stage.run.goes_on_from(trained[1])
    if len(stage.synthetic_index) > 0 and checkpoint.restore(ranks, trained, model.weights()) < 0:
        history = _fit(stage, model, real, real_index)
        if ranks.is_main:
            save_model(stage, model, history)

    if ranks.is_main:
        checkpoint.delete_checkpoints(stage.model_folder)
    write_refined(stage, model, stage.spec.called(stage.parameters, settings.latent), private=private)
    return stage.done_now()


def _fit(stage: Stage, model: Model, real: RowSource, real_index: RowIndex) -> dict[str, Any]:
    """Train `model` on this rank's rows, from the newest checkpoint on."""
    ranks, settings, fingerprint = stage.ranks, stage.config.refine, stage.begun
    saved = checkpoint.newest_checkpoint(stage.model_folder, fingerprint) if ranks.is_main else None
    real_counts, synthetic_counts = real_index.counts(), stage.synthetic_index.counts()
    sampler = make_batch_sampler(ranks, settings, model, real_counts, synthetic_counts, saved)
    real_rows, _ = read_rows(real, real_index, *sampler.real_range, model.representation)
    if model.learns_from_smote:
        smote_rows, _ = read_rows(stage.synthetic, stage.synthetic_index, *sampler.smote_range, model.representation)
    else:
        smote_rows = without_features(stage.synthetic_index, *sampler.smote_range)
    early_stopping = make_early_stopping(stage, model, saved)
    checkpoints = Checkpoints(stage.model_folder, fingerprint, saved)
    return train(settings, ranks, model, BatchLoader(sampler, real_rows, smote_rows), checkpoints, early_stopping)


def train(
    settings: RefineConfig,
    ranks: Ranks,
    model: Model,
    loader: BatchLoader,
    checkpoints: Checkpoints,
    early_stopping: EarlyStopping,
) -> dict[str, Any]:
    """Train `model` in place, from the main rank's saved checkpoint on; it ends with the weights to keep.

    Returns
    -------
    dict
        What is noted with the model, whole on the main rank only: `step`, that of the weights; `losses`, lists of a
        step and the means since the one before, in the order of `loss_names`; what `EarlyStopping.keep` gives.

    Raises
    ------
    DataError
        If a loss is not finite, and there was no validation before.
    """
    _prepare(settings, ranks, model)
    state, saved = model.state(), checkpoints.saved
    first = max(checkpoint.restore(ranks, saved, state), 0)
    progress = Progress(ranks, model.losses, first, settings.steps, saved[1]["losses"] if saved else [])
    ended = ""

    for step in range(first, settings.steps):
        # Before the step and not after the last one, so that a checkpoint has this validation still to come.
        if early_stopping.is_due(step):
            if early_stopping.should_stop():
                progress.read(step)
                ended = f"step {step:,} was the last, for {settings.patience} looks were no better than one before; "
                break
            early_stopping.validate(step)
        progress.add(model.step(loader.batch(step)))
        done = step + 1
        save = done % settings.checkpoint_every == 0 and done < settings.steps
        if (save or progress.is_due(done)) and not progress.read(done):
            if not early_stopping.has_best():
                raise DataError(NOT_FINITE, step=done, learning_rate=_learning_rate(settings, model))
            ended = f"step {done:,} was the last, for the losses were no longer finite; "
            break
        if save and ranks.is_main:
            best, notes = early_stopping.saved()
            checkpoints.save(done, state | best, {"losses": progress.history, **notes})

    model.finish()
    if not ended:
        early_stopping.validate(settings.steps)
    history = {"losses": progress.history, "loss_names": model.losses, "step": settings.steps}
    return history | early_stopping.keep(model, ended)


def _prepare(settings: RefineConfig, ranks: Ranks, model: Model) -> None:
    """Make `model` ready to be trained as `settings` say."""
    model.train(True)
    model.precision = getattr(torch, settings.precision)
    model.prepare(settings.steps, _learning_rate(settings, model))
    if settings.compile and can_compile(ranks):
        model.compile()
    if ranks.world_size > 1:
        model.distribute()


def _learning_rate(settings: RefineConfig, model: Model) -> float:
    return model.spec.learning_rate if settings.learning_rate is None else settings.learning_rate


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage; return the exit code: 0, or 2 after one sentence that says what is wrong."""
    parser = argparse.ArgumentParser(prog="raresmith.gan.train", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("config", metavar="CONFIG", help="the TOML file that describes the run")
    parser.add_argument("--logical-date", default="", metavar="YYYY-MM-DD", help="the day that it is run for")
    parser.add_argument("--only-generate", action="store_true", help=ONLY_GENERATE)
    arguments = parser.parse_args(argv)
    try:
        show()
        config = load_config(arguments.config, arguments.logical_date)
        with ended_by_signals(), during("refine"):
            ranks = start(config.refine.device)
            lease = under_way(open_folder(config.run.warehouse), config.run_id, "refine")
            with lease if ranks.is_main else nullcontext():
                report = only_generate(config, ranks) if arguments.only_generate else refine(config, ranks)
    except Exception as error:
        if (refused := refusal.of(error)) is None:
            raise
        refusal.write(refused)
        logger.error("%s", refused)
        refusal.await_end()
        return 2
    if ranks.is_main:
        RESULT.info(report)
    return 0


if __name__ == "__main__":
    finish(main())

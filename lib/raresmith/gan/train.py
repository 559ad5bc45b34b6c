"""Refine the synthetic rows: train the GAN, let the generator rewrite every synthetic row, write them as one table.

    python -m raresmith.gan.train CONFIG                                      one process
    python -m raresmith.gan.train CONFIG --only-generate                      by the saved model, without training
    torchrun --standalone --nproc-per-node 2 -m raresmith.gan.train CONFIG    several, on CPUs (gloo) or GPUs (nccl)

Any rank may die at any time: torchrun starts all again and they go on from the newest checkpoint, which lies in
models/<run_id> of the warehouse. Ranks on several machines need a warehouse that all of them see.
"""

import argparse
import math
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

from raresmith.config import Config, RefineConfig, load_config
from raresmith.errors import DataError, RaresmithError
from raresmith.gan.artifacts import checkpoint
from raresmith.gan.artifacts.saved_model import name_of, save_model
from raresmith.gan.data import tables
from raresmith.gan.data.batches import Batches, read_order, read_rows, read_spread, without_features
from raresmith.gan.folder import Folder, open_folder
from raresmith.gan.generation.only_generate import only_generate
from raresmith.gan.generation.refined_table import write_refined
from raresmith.gan.models.base import Batch, Model, Rows, Setting
from raresmith.gan.models.redraw import count
from raresmith.gan.models.registry import make_model
from raresmith.gan.models.representation import Representation
from raresmith.gan.on_ranks import agreed_run, done_before, done_now
from raresmith.gan.privacy.private_gan import make_batches
from raresmith.gan.ranks import Process, finish, start
from raresmith.gan.training import stage
from raresmith.gan.training.compiler import can_compile
from raresmith.gan.training.early_stopping import Selection, make_selection
from raresmith.gan.training.progress import Progress
from raresmith.tables.stage_report import ONLY_GENERATE, StageReport
from raresmith.tables.stage_run import StageRun

LOOK_EVERY = 100
"""Most steps between two looks at the losses: each look makes the device finish what it has been given."""


def refine(config: Config, process: Process) -> StageReport:
    """Do the stage `refine` as one of its processes; the report is the same in each.

    Raises
    ------
    DataError
        If a table is missing or holds what the networks cannot use, or the training does not stay finite.
    """
    if config.run.incremental:
        return StageReport(stage="refine", words=stage.LEFT_OUT)
    started = time.monotonic()
    settings, seed = config.refine, config.run.random_state

    # What there is: the first rank looks, so that all see the same versions
    run = agreed_run(config, process, tables.refine_run)
    if report := done_before(config, run, process, started):
        return report
    encoder = tables.read_encoder(tables.location(config, "encoder"))
    features, synthetic = tables.open_inputs(config, run)
    folder = open_folder(tables.model_location(config))

    # Data: the order of all rows here, their values below and only this rank's share
    made = read_order(synthetic)
    classes = tuple(made.counts())
    parents = tables.train_rows(features, classes)
    given = read_order(parents)
    if missing := sorted(set(classes) - set(given.counts())):
        raise DataError(
            f"synthetic has rows of the classes {missing} but features has no train row of them; run oversample again"
        )
    representation = Representation(encoder)

    # Networks
    setting = Setting(
        representation=representation, latent=settings.latent, classes=classes, seed=seed, device=process.device
    )
    model = make_model(setting, settings, lambda: count(setting, read_spread(parents, given, representation)))

    # Training, unless it is done and only the rows are missing
    trained = checkpoint.whole(folder, "model") if process.first else None
    trained = trained if trained and trained[1].get("fingerprint") == run.fingerprint else None
    if len(made) > 0 and checkpoint.restore(process, trained, model.weights()) < 0:
        saved = checkpoint.newest_checkpoint(folder, run.fingerprint) if process.first else None
        batches = make_batches(process, settings, model, given.counts(), made.counts(), saved)
        real, _ = read_rows(parents, given, *batches.real_range, representation)
        if model.learns_from_smote:
            smote, _ = read_rows(synthetic, made, *batches.smote_range, representation)
        else:
            smote = without_features(made, *batches.smote_range)
        selection = make_selection(process, settings, model, features, synthetic, made, saved)
        history = train(settings, run, process, folder, model, batches, real, smote, saved, selection)
        del real, smote  # they are not looked at again, and the rows to refine come now
        if process.first:
            save_model(folder, model, config, run, encoder, made.counts(), history)

    if process.first:
        checkpoint.delete_checkpoints(folder)
    called = name_of(settings.model, settings.architecture, settings.latent)
    write_refined(
        config, run, process, model, called, synthetic, features, made, encoder, private=settings.privacy is not None
    )
    return done_now(config, run, process, started)


def train(
    settings: RefineConfig,
    run: StageRun,
    process: Process,
    folder: Folder,
    model: Model,
    batches: Batches,
    real_rows: Rows,
    smote_rows: Rows,
    saved: checkpoint.Saved | None,
    selection: Selection | None,
) -> dict[str, Any]:
    """Train `model` in place, from the checkpoint `saved` on (the first rank's); it ends with the weights to keep.

    Returns
    -------
    dict
        What is noted with the model, whole on the first rank only: `step`, that of the weights; `losses`, lists of a
        step and the means since the one before, in the order of `loss_names`; what `Selection.history` gives.

    Raises
    ------
    DataError
        If a loss is not finite, and there was no look before.
    """
    real_rows, smote_rows = real_rows.to(process.device), smote_rows.to(process.device)
    model.train(True)
    model.precision = getattr(torch, settings.precision)
    if settings.compile and can_compile(process):
        model.compile()
    if process.world_size > 1:
        model.distribute()
    state = model.state()
    first = max(checkpoint.restore(process, saved, state), 0)
    losses: list[list[float]] = saved[1]["losses"] if saved else []
    progress = Progress(first, settings.steps, model.losses) if process.first else None
    sums, looked = torch.zeros(len(model.losses), device=process.device), first
    ended = ""

    for step in range(first, settings.steps):
        # Before the step and not after the last one, so that a checkpoint has this look still to come.
        if selection is not None and selection.is_due(step):
            if selection.is_over():
                if step > looked:
                    losses.append([step, *_means(process, sums, step - looked)])
                ended = f"step {step:,} was the last, for {settings.patience} looks were no better than one before; "
                break
            selection.look(step)
        real = batches.real(step)
        batch = Batch(
            step=step,
            real=real_rows.take(real),
            is_drawn=real >= 0,
            smote=smote_rows.take(batches.smote(step)),
            slots=batches.smote_slots,
            scale=process.world_size / settings.batch_size,
            cuts=batches.cuts,
        )
        sums += model.step(batch)
        done = step + 1
        save = done % settings.checkpoint_every == 0 and done < settings.steps
        if save or done - looked == LOOK_EVERY or done == settings.steps:
            means = _means(process, sums, done - looked)
            if not all(map(math.isfinite, means)):
                if selection is not None and selection.has_best():
                    ended = f"step {done:,} was the last, for the losses were no longer finite; "
                    break
                raise DataError(
                    f"the losses of the model are no longer finite at step {done}; lower refine.learning_rate, now "
                    f"{settings.step_size}, or choose another of prepare.normalise for columns with huge values"
                )
            losses.append([done, *means])
            sums.zero_()
            looked = done
            if progress is not None:
                progress.show(done, means)
        if save and process.first:
            best, notes = selection.saved() if selection is not None else ({}, {})
            checkpoint.save_checkpoint(folder, run.fingerprint, done, state | best, {"losses": losses, **notes})

    history = {"losses": losses, "loss_names": model.losses, "step": settings.steps}
    model.finish()
    if selection is not None:
        if not ended:
            selection.look(settings.steps)
        history |= selection.keep(model, ended)
    return history


def _means(process: Process, sums: torch.Tensor, steps: int) -> list[float]:
    """The losses of a step over all ranks, of their sums over `steps`."""
    means: list[float] = (process.sum(sums) / (process.world_size * steps)).tolist()
    return means


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage; return the exit code: 0, or 2 after one sentence that says what is wrong."""
    parser = argparse.ArgumentParser(prog="raresmith.gan.train", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("config", metavar="CONFIG", help="the TOML file that describes the run")
    parser.add_argument("--logical-date", default="", metavar="YYYY-MM-DD", help="the day that it is run for")
    parser.add_argument("--only-generate", action="store_true", help=ONLY_GENERATE)
    arguments = parser.parse_args(argv)
    try:
        config = load_config(arguments.config, arguments.logical_date)
        process = start(config.refine.device)
        report = only_generate(config, process) if arguments.only_generate else refine(config, process)
    except RaresmithError as error:
        print(f"raresmith: {error}", file=sys.stderr, flush=True)
        return 2
    if process.first:
        print(report, flush=True)
    return 0


if __name__ == "__main__":
    finish(main())

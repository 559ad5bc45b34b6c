"""Refine the synthetic rows: train the GAN, let the generator rewrite every synthetic row, write them as one table.

    python -m raresmith.gan.train CONFIG                                      one process
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
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from raresmith import contracts
from raresmith.config import Config, RefineConfig, load_config
from raresmith.errors import DataError, RaresmithError
from raresmith.gan import checkpoint, stage, tables
from raresmith.gan.folder import Folder, open_folder
from raresmith.gan.generate import content_hash, pieces, read_shards, write_shard
from raresmith.gan.model import Gan, Rows
from raresmith.gan.process import Process, finish, start
from raresmith.gan.progress import Progress
from raresmith.gan.representation import Representation
from raresmith.gan.shares import Batches, read_order, read_rows
from raresmith.runs import StageRun
from raresmith.stages import StageReport

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
    found = tables.refine_run(config) if process.first else None
    versions = torch.tensor([*found.inputs.values()] if found else [0, 0], device=process.device)
    features_version, synthetic_version = process.share(versions).tolist()
    run = tables.refine_run(config, features_version, synthetic_version)
    done = torch.tensor(stage.is_done(config, run) if process.first else False, device=process.device)
    if process.share(done):
        if process.first and tables.recorded(config, run) is None:
            # The process ended between the table's commit and the note of it: only the note is missing.
            stage.note_done(config, run, refined_hash(config), started)
        process.wait()
        return stage.report(config, run, unchanged=True)
    encoder = tables.read_encoder(tables.location(config, "encoder"))
    features = tables.open_table(tables.location(config, "features"), features_version)
    synthetic = tables.open_table(tables.location(config, "synthetic"), synthetic_version)
    models = f"{tables.location(config, 'models')}/{run.run_id}"
    folder, staging = open_folder(models), open_folder(f"{models}/staging")

    # Data: the order of all rows here, their values below and only this rank's share
    made = read_order(synthetic, "true")
    classes = tuple(made.counts())
    is_parent = f"split = 'train' AND label IN ({', '.join(map(str, classes))})" if classes else "false"
    given = read_order(features, is_parent)
    if missing := sorted(set(classes) - set(given.counts())):
        raise DataError(
            f"synthetic has rows of the classes {missing} but features has no train row of them; run oversample again"
        )
    representation = Representation(encoder)

    # Networks
    gan = Gan(
        representation,
        architecture=settings.architecture,
        latent=settings.latent,
        classes=classes,
        seed=seed,
        device=process.device,
    )

    # Training, unless it is done and only the rows are missing
    model = checkpoint.read_tensors(folder, "model") if process.first else None
    model = model if model and model[1].get("fingerprint") == run.fingerprint else None
    if len(made) > 0 and restore(process, model, gan.weights()) < settings.steps:
        batches = Batches(
            given.counts(), made.counts(), batch_size=settings.batch_size, seed=seed,
            rank=process.rank, world_size=process.world_size, device=process.device,
        )  # fmt: skip
        real, _ = read_rows(features, given, *batches.real_range, is_parent, representation)
        smote, _ = read_rows(synthetic, made, *batches.smote_range, "true", representation)
        losses = train(settings, run, process, folder, gan, batches, real, smote)
        if process.first:
            checkpoint.write_tensors(folder, "model", gan.weights(), card(settings, run, gan, losses))
            checkpoint.delete_checkpoints(folder)

    # Generation: blocks of the order of all synthetic rows, so that any number of ranks makes the same ones
    contract = contracts.refined(encoder)
    clamped = torch.zeros((), dtype=torch.int64, device=process.device)
    for low, high, name in pieces(len(made), process.rank, process.world_size):
        rows, row_ids = read_rows(synthetic, made, low, high, "true", representation)
        clamped += write_shard(
            staging, name, contract, gan, rows.to(process.device), row_ids,
            model=f"{settings.architecture} from {settings.latent}", run_id=run.run_id,
        )  # fmt: skip
    process.sum(clamped)  # after this every shard is there

    # One table, in one commit
    if process.first:
        names = [n for rank in range(process.world_size) for _, _, n in pieces(len(made), rank, process.world_size)]
        notes: dict[str, Any] = {"clamped": int(clamped), "numbers": len(made) * len(representation.numeric)}
        refined = read_shards(staging, names, contract)
        tables.write_table(contract, tables.location(config, "refined"), refined, run, **notes)
        stage.note_done(config, run, refined_hash(config), started)
        for name in staging.names():
            staging.delete(name)
    process.wait()
    return stage.report(config, run)


def train(
    settings: RefineConfig,
    run: StageRun,
    process: Process,
    folder: Folder,
    gan: Gan,
    batches: Batches,
    real_rows: Rows,
    smote_rows: Rows,
) -> list[list[float]]:
    """Train both networks of `gan` in place, from the newest checkpoint on.

    Each step: the generator makes a batch from SMOTE rows; the discriminator learns from half of these and as many
    real rows; the generator learns from what the discriminator now says of its whole batch.

    Returns
    -------
    list of [step, discriminator's loss, generator's loss]
        Means over the steps since the entry before. Whole on the first rank only, where the checkpoints are read.

    Raises
    ------
    DataError
        If a loss is not finite.
    """
    real_rows, smote_rows, slots = real_rows.to(process.device), smote_rows.to(process.device), batches.smote_slots
    generator, discriminator = gan.generator.train(), gan.discriminator.train()
    if process.world_size > 1:
        # Buffers are the same on all ranks by GlobalBatchNorm; sending them around would only cost.
        generator = DistributedDataParallel(generator, broadcast_buffers=False)
        discriminator = DistributedDataParallel(discriminator, broadcast_buffers=False)
    generator_adam = adam(gan.generator, settings.learning_rate)
    discriminator_adam = adam(gan.discriminator, settings.learning_rate)
    state = gan.weights() | adam_state("generator", generator_adam) | adam_state("discriminator", discriminator_adam)

    saved = checkpoint.newest_checkpoint(folder, run.fingerprint) if process.first else None
    first = max(restore(process, saved, state), 0)
    losses: list[list[float]] = saved[1]["losses"] if saved else []
    progress = Progress(first, settings.steps) if process.first else None
    sums, looked = torch.zeros(2, device=process.device), first

    is_real = torch.cat([torch.ones(batches.half), torch.zeros(batches.half)]).to(process.device)
    all_real = torch.ones(2 * batches.half, device=process.device)
    # Losses are sums over this rank's rows; DDP takes the mean of the ranks' gradients.
    scale = process.world_size / settings.batch_size

    for step in range(first, settings.steps):
        real, smote = real_rows.take(batches.real(step)), smote_rows.take(batches.smote(step))
        fake = gan.activate(generator(gan.latents(smote, slots, step)), slots, step)
        fake = gan.conditioned(fake, smote.classes)

        # One pass over real and fake rows together: two before one backward is where DDP stumbles.
        logits = discriminator(torch.cat([gan.inputs(real), fake[::2].detach()]))
        discriminator_loss = scale * functional.binary_cross_entropy_with_logits(logits, is_real, reduction="sum")
        discriminator_loss.backward()
        discriminator_adam.step()
        discriminator_adam.zero_grad()

        # The bare discriminator, frozen: its gradients are of no use here, and DDP would send them around.
        gan.discriminator.requires_grad_(False)
        logits = gan.discriminator(fake)
        generator_loss = scale * functional.binary_cross_entropy_with_logits(logits, all_real, reduction="sum")
        generator_loss.backward()
        generator_adam.step()
        generator_adam.zero_grad()
        gan.discriminator.requires_grad_(True)

        sums += torch.stack([discriminator_loss.detach(), generator_loss.detach()])
        done = step + 1
        save = done % settings.checkpoint_every == 0 and done < settings.steps
        if save or done - looked == LOOK_EVERY or done == settings.steps:
            means = (process.sum(sums) / (process.world_size * (done - looked))).tolist()
            if not all(map(math.isfinite, means)):
                raise DataError(
                    f"the losses of the GAN are no longer finite at step {done}; lower refine.learning_rate, now "
                    f"{settings.learning_rate}, or choose another of prepare.normalise for columns with huge values"
                )
            losses.append([done, *means])
            sums.zero_()
            looked = done
            if progress is not None:
                progress.show(done, *means)
        if save and process.first:
            checkpoint.save_checkpoint(folder, run.fingerprint, done, state, {"losses": losses})
    return losses


def adam(network: torch.nn.Module, learning_rate: float) -> torch.optim.Adam:
    """Adam with the momentum of Radford et al. 2016 (arXiv:1511.06434), its state there from the start."""
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, betas=(0.5, 0.999), fused=True)
    for parameter in network.parameters():
        # What Adam makes in its first step: made here, so that a checkpoint can be copied into it.
        optimizer.state[parameter] = {
            "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    return optimizer


def adam_state(name: str, optimizer: torch.optim.Adam) -> dict[str, torch.Tensor]:
    """The tensors of Adam's state by name, as they are and not copied."""
    return {
        f"adam.{name}.{i}.{key}": tensor
        for i, state in enumerate(optimizer.state.values())
        for key, tensor in state.items()
    }


def restore(process: Process, saved: checkpoint.Saved | None, state: dict[str, torch.Tensor]) -> int:
    """Fill the tensors of `state` on every rank with what the first rank read, in place; return its step, or -1."""
    step = int(process.share(torch.tensor(saved[1]["step"] if saved else -1, device=process.device)))
    if step >= 0:
        with torch.no_grad():
            for name, tensor in state.items():
                if saved:
                    tensor.copy_(saved[0][name])
                process.share(tensor)
    return step


def card(settings: RefineConfig, run: StageRun, gan: Gan, losses: list[list[float]]) -> dict[str, object]:
    """What is noted beside the weights: all that is needed to use them, and no row of any table."""
    return {
        "architecture": settings.architecture,
        "classes": gan.classes,
        "config_hash": run.config_hash,
        "features": gan.representation.names,
        "fingerprint": run.fingerprint,
        "inputs": run.inputs,
        "latent": settings.latent,
        "losses": losses,
        "random_state": run.random_state,
        "run_id": run.run_id,
        "step": settings.steps,
    }


def refined_hash(config: Config) -> str:
    """Content hash of `refined` as it lies there."""
    return content_hash(tables.query(tables.open_table(tables.location(config, "refined")), "SELECT * FROM t"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage; return the exit code: 0, or 2 after one sentence that says what is wrong."""
    parser = argparse.ArgumentParser(prog="raresmith.gan.train", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("config", metavar="CONFIG", help="the TOML file that describes the run")
    parser.add_argument("--logical-date", default="", metavar="YYYY-MM-DD", help="the day that it is run for")
    arguments = parser.parse_args(argv)
    try:
        config = load_config(arguments.config, arguments.logical_date)
        process = start(config.refine.device)
        report = refine(config, process)
    except RaresmithError as error:
        print(f"raresmith: {error}", file=sys.stderr, flush=True)
        return 2
    if process.first:
        print(report, flush=True)
    return 0


if __name__ == "__main__":
    finish(main())

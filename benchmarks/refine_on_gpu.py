"""The trainer on one GPU beside the processors of the same machine: a step, the rows made, and a million rows refined.

python benchmarks/refine_on_gpu.py [--part steps|million|all]

A step is timed after five that warm up, compiling among them. The processors' figures are of one process with a
thread on each; "syncs" counts where one training step waits for the GPU. "million" is the whole command on Delta
tables, with one GPU and with one process on each processor.
"""

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from measuring import print_figures, write_results
from refine import encoder, million_tables, refine_command, rows_of

from raresmith.config import RefineConfig
from raresmith.gan.data.batches import BatchLoader, StratifiedBatchSampler
from raresmith.gan.data.representation import Representation
from raresmith.gan.data.rows import Rows
from raresmith.gan.models.base import Model, Setting
from raresmith.generators.registry import GENERATORS

N_REAL, N_MADE = 20_000, 50_000
WARM_UP = 5
SECONDS = 2.0
"""About as long each way is timed."""


@dataclass(frozen=True)
class Task:
    """One training."""

    model: str
    batch: int
    features: int = 30
    precision: str = "float32"
    compile: bool = False

    @property
    def called(self) -> str:
        name = f"{self.model}, batch {self.batch:,}, {self.features} columns"
        return f"{name}{', ' + self.precision if self.precision != 'float32' else ''}{', compiled' * self.compile}"


TASKS = (
    Task("redraw", 128),
    Task("redraw", 4096),
    Task("redraw", 16384),
    Task("redraw", 16384, precision="bfloat16"),
    Task("redraw", 4096, 434),
    Task("gan", 128),
    Task("gan", 4096),
    Task("gan", 4096, compile=True),
    Task("gan", 65536),
    Task("gan", 65536, precision="bfloat16"),
    Task("wgan_gp", 4096),
    Task("vae", 4096),
)


@dataclass(frozen=True)
class Trained:
    """A model in training on a device."""

    model: Model
    step: Callable[[int], torch.Tensor]
    rows: Rows

    def synchronise(self) -> None:
        if self.model.device.type == "cuda":
            torch.cuda.synchronize()


def rows(n: int, features: int, seed: int) -> Rows:
    zeros = torch.zeros(n, dtype=torch.int64)
    return Rows(torch.from_numpy(rows_of(n, seed, features)), torch.zeros((n, 0), dtype=torch.int64), zeros)


def begin(task: Task, device: torch.device) -> Trained:
    """The training of `task`, as the stage begins it."""
    config = RefineConfig(model=task.model)
    setting = Setting(
        representation=Representation(encoder(task.features)), latent="synthetic", classes=(1,), seed=0, device=device
    )
    real = rows(N_REAL, task.features, 0)
    model = GENERATORS[task.model].model().build(setting, config.parameters, lambda: real)
    model.train(True)
    model.precision = getattr(torch, task.precision)
    model.prepare(10_000, model.spec.learning_rate)
    if task.compile:
        model.compile()
    sampler = StratifiedBatchSampler(
        {1: N_REAL}, {1: N_MADE}, batch_size=task.batch, seed=0, rank=0, world_size=1, device=device
    )
    made = rows(N_MADE, task.features, 1)
    loader = BatchLoader(sampler, real, made)
    return Trained(model, lambda step: model.step(loader.batch(step)), made.to(device))


def time_steps(trained: Trained) -> tuple[float, float]:
    """Seconds of a step, and the sum of the first loss over the steps that warm up."""
    losses = torch.stack([trained.step(step) for step in range(WARM_UP)]).sum(0)
    trained.synchronise()
    step, started = WARM_UP, time.monotonic()
    while time.monotonic() - started < SECONDS:
        for _ in range(10 if trained.model.device.type == "cuda" else 1):
            trained.step(step)
            step += 1
        trained.synchronise()
    return (time.monotonic() - started) / (step - WARM_UP), float(losses[0])


def time_rows(trained: Trained) -> float:
    """Made rows a second."""
    trained.model.train(False)
    made, started = 0, time.monotonic()
    while time.monotonic() - started < SECONDS:
        with torch.no_grad():
            trained.model.generated(trained.rows, torch.arange(N_MADE, device=trained.model.device) + made)
        trained.synchronise()
        made += N_MADE
    trained.model.train(True)
    return made / (time.monotonic() - started)


def syncs(trained: Trained) -> list[str]:
    """Places of the program that wait for the GPU in one step."""
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trained.step(1_000)
    torch.cuda.set_sync_debug_mode("default")
    return sorted(f"{Path(w.filename).name}:{w.lineno}" for w in caught if "synchroniz" in str(w.message))


def measure_task(task: Task) -> dict[str, Any]:
    figures: dict[str, Any] = {"task": task.called}
    loss = {}
    for name in ("cpu", "cuda"):
        torch.set_num_threads((os.cpu_count() or 1) if name == "cpu" else 1)
        torch.cuda.reset_peak_memory_stats()
        trained = begin(task, torch.device(name))
        seconds, loss[name] = time_steps(trained)
        figures[f"{name}_ms_a_step"] = 1000 * seconds
        figures[f"{name}_rows_made_a_second"] = time_rows(trained)
        if name == "cuda":
            figures["syncs"] = len(places := syncs(trained)) if not task.compile else ""
            figures["gpu_MB"] = torch.cuda.max_memory_allocated() / 2**20
            if figures["syncs"]:
                print("waits for the GPU at", *places)
    figures["step_times_as_fast"] = figures["cpu_ms_a_step"] / figures["cuda_ms_a_step"]
    figures["rows_times_as_fast"] = figures["cuda_rows_made_a_second"] / figures["cpu_rows_made_a_second"]
    figures["loss_apart"] = abs(loss["cuda"] / loss["cpu"] - 1)
    return figures


def steps_part() -> Iterator[dict[str, Any]]:
    return map(measure_task, TASKS)


def million_part(folder: Path) -> Iterator[dict[str, Any]]:
    """A million synthetic rows of 30 columns, from Delta to Delta."""
    million_tables(folder)
    processors = os.cpu_count() or 1
    ways = {"one GPU": ("cuda", 1), f"{processors} processes": ("cpu", processors)}
    for model in ("gan", "redraw"):
        for way, (device, ranks) in ways.items():
            yield {"task": f"{model}, {way}", "seconds": refine_command(folder, model, ranks, device)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["steps", "million", "all"], default="all")
    arguments = parser.parse_args()
    results: dict[str, Any] = {"gpu": torch.cuda.get_device_name(), "processors": os.cpu_count()}
    with tempfile.TemporaryDirectory() as temporary:
        parts: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
            "steps": steps_part,
            "million": partial(million_part, Path(temporary)),
        }
        for part, measured in parts.items():
            if arguments.part in (part, "all"):
                results[part] = []
                for figures in measured():
                    results[part].append(figures)
                    print_figures([figures])
                    write_results("refine_on_gpu", results)  # each at once, for the machine may be lent for minutes


if __name__ == "__main__":
    main()

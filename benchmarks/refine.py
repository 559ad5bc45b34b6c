"""The trainer: a step against a Keras loop, rows/s against CTGAN, one rank against two, and a million rows refined.

python -m venv .venv-peers && .venv-peers/bin/pip install -r benchmarks/peers.txt
python benchmarks/refine.py [--turns 3] [--part step|rows|ranks|million|all]

Every time is the median of several, taken turn about, each in a process of its own. A training counts from its first
step to its last, compiling included, without the start of Python and of the libraries. "million" is the whole command
on Delta tables: reading, training, making the rows, writing them.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from measuring import print_figures, write_results
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv-peers" / "bin" / "python"
FEATURES = 30
STEPS = 5000


def rows_of(n: int, seed: int, features: int = FEATURES) -> NDArray[np.float32]:
    """Rows (n, features) near a curved surface of 8 dimensions."""
    rng, mixing = np.random.default_rng(seed), np.random.default_rng(0)
    surface = np.tanh(rng.standard_normal((n, 8)) @ mixing.standard_normal((8, features)) / 2)
    return (surface + 0.1 * rng.standard_normal((n, features))).astype(np.float32)


def encoder(features: int = FEATURES) -> Any:
    """Of columns that are as they were."""
    from raresmith.encoding.encoder import Encoder, Label, NumericFeature

    columns = [
        NumericFeature(
            name=f"v{i}", source=f"v{i}", type="float", transform="linear", center=0, scale=1, low=-9, high=9,
            impute=0, step=0, storage="float", encoded_low=-9, encoded_high=9,
        )
        for i in range(features)
    ]  # fmt: skip
    fields = [{"name": f.name, "type": f.type} for f in columns] + [{"name": "y", "type": "integer"}]
    label = Label(name="y", type="int", classes=("0", "1"), positive="1")
    return Encoder(features=tuple(columns), label=label, raw_schema=json.dumps({"fields": fields}))


def train_ours(settings: dict[str, Any]) -> None:
    """One training in this process, which may be one of several under torchrun; rank 0 prints its seconds."""
    import torch

    from raresmith.config import RefineConfig
    from raresmith.gan.artifacts.checkpoint import Checkpoints
    from raresmith.gan.data.batches import BatchLoader, StratifiedBatchSampler
    from raresmith.gan.data.representation import Representation
    from raresmith.gan.data.rows import Rows
    from raresmith.gan.folder import open_folder
    from raresmith.gan.models.base import Setting
    from raresmith.gan.ranks import finish, start
    from raresmith.gan.train import train
    from raresmith.gan.training.early_stopping import EarlyStopping
    from raresmith.generators.registry import GENERATORS

    config = RefineConfig(checkpoint_every=10**9, **settings)
    ranks = start("auto")
    n_real, n_smote = 20_000, 50_000
    setting = Setting(
        representation=Representation(encoder()), latent="synthetic", classes=(1,), seed=0, device=ranks.device
    )

    def rows(n: int, seed: int, low: int = 0, high: int | None = None) -> Rows:
        numbers = torch.from_numpy(rows_of(n, seed)[low:high])
        zeros = torch.zeros(len(numbers), dtype=torch.int64)
        return Rows(numbers, torch.zeros((len(numbers), 0), dtype=torch.int64), zeros)

    networks = GENERATORS[config.model].model()
    model = networks.build(setting, config.parameters, lambda: rows(n_real, 0))
    sampler = StratifiedBatchSampler(
        {1: n_real}, {1: n_smote}, batch_size=config.batch_size, seed=0,
        rank=ranks.rank, world_size=ranks.world_size, device=ranks.device,
    )  # fmt: skip
    real, smote = rows(n_real, 0, *sampler.real_range), rows(n_smote, 1, *sampler.smote_range)
    with tempfile.TemporaryDirectory() as folder:
        ranks.barrier()
        started = time.monotonic()
        checkpoints = Checkpoints(open_folder(folder), "benchmark")
        train(config, ranks, model, BatchLoader(sampler, real, smote), checkpoints, EarlyStopping(ranks))
        ranks.barrier()
        if ranks.is_main:
            print(json.dumps({"seconds": time.monotonic() - started}), flush=True)
    finish(0)


def ours(ranks: int = 1, **settings: Any) -> dict[str, float]:
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks > 1 else []
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # each, as the stage starts them
    return _last_line([sys.executable, *torchrun, __file__, "--one", json.dumps(settings)], one_thread)


def peer(name: str, rows: Path, steps: int, batch: int) -> dict[str, float]:
    if not PEERS.exists():
        sys.exit(f"{PEERS} is not there; make the environment of the peers as the first lines of this file say")
    script = Path(__file__).with_name("peers.py")
    threads_of_its_own = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return _last_line([PEERS, script, "time", name, rows, str(steps), str(batch)], threads_of_its_own)


def _last_line(command: list[Any], environment: dict[str, str]) -> dict[str, float]:
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def turn_about(turns: int, ways: dict[str, Any]) -> dict[str, float]:
    """The median seconds of each way."""
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(turns):
        for way, run in ways.items():
            taken[way].append(run()["seconds"])
    return {way: statistics.median(seconds) for way, seconds in taken.items()}


def step_part(turns: int, folder: Path) -> list[dict[str, Any]]:
    """The small preset in batches of 64."""
    path = folder / "rows.npy"
    np.save(path, rows_of(20_000, 0))
    few = STEPS // 10  # of Keras, whose every step takes as long as the last
    seconds = turn_about(
        turns,
        {
            "Keras loop": partial(peer, "keras", path, few, 64),
            "ours": partial(ours, model="gan", steps=STEPS, batch_size=64),
        },
    )
    a_step = {way: s / (few if way == "Keras loop" else STEPS) for way, s in seconds.items()}
    return [{"way": way, "ms_a_step": 1000 * s, "times_as_fast": a_step["Keras loop"] / s} for way, s in a_step.items()]


def rows_part(turns: int, folder: Path) -> list[dict[str, Any]]:
    """Rows that the trainings see in a second, in large batches; of CTGAN also without the fit of its columns."""
    path = folder / "many.npy"
    np.save(path, rows_of(50_000, 0))
    epochs, batch, steps = 3, 500, 500
    seconds = turn_about(
        turns,
        {
            "CTGAN": partial(peer, "ctgan", path, epochs, batch),
            "CTGAN, no epochs": partial(peer, "ctgan", path, 0, batch),
            **{
                f"ours, {model}, {ranks} processes": partial(ours, ranks, model=model, batch_size=4096, steps=steps)
                for model in ("gan", "redraw")
                for ranks in (1, 2)
            },
        },
    )
    rows_seen = epochs * 50_000
    fit = seconds.pop("CTGAN, no epochs")
    speed = {way: (rows_seen if way == "CTGAN" else steps * 4096) / s for way, s in seconds.items()}
    speed["CTGAN, its epochs alone"] = rows_seen / (seconds["CTGAN"] - fit)
    return [{"way": way, "rows_a_second": v, "times_as_fast": v / speed["CTGAN"]} for way, v in speed.items()]


def ranks_part(turns: int) -> list[dict[str, Any]]:
    """One process against two, the same global batch."""
    results = []
    for model, batch, steps in (("gan", 64, 2000), ("gan", 4096, 300), ("redraw", 128, 500), ("redraw", 4096, 100)):
        seconds = turn_about(
            turns, {str(n): partial(ours, n, model=model, batch_size=batch, steps=steps) for n in (1, 2)}
        )
        results.append(
            {
                "task": f"{model}, batch {batch}",
                **{f"ms_a_step_{n}": 1000 * s / steps for n, s in seconds.items()},
                "speed_up": seconds["1"] / seconds["2"],
            }
        )
    return results


def million_tables(folder: Path) -> None:
    """The tables of a run with a million synthetic rows of 30 columns, as Spark's stages leave them."""
    from raresmith.config import parse_config
    from raresmith.gan.data.tables import schema_of, write_table
    from raresmith.tables import contracts
    from raresmith.tables.stage_run import StageRun

    n_real, n_made = 50_000, 1_000_000
    document = {
        "run": {"name": "benchmark", "warehouse": str(folder / "tables")},
        "source": {"path": "x", "label": "y"},
    }
    run = StageRun(config=parse_config(document, folder / "run.toml").recording(), stage="prepare")

    def write(name: str, contract: contracts.Table, columns: dict[str, Any]) -> None:
        rows = pa.table({f.name: columns[f.name] for f in schema_of(contract)}, schema=schema_of(contract))
        write_table(contract, str(folder / "tables" / name), rows.to_reader(10**5), run)

    def features(n: int, seed: int) -> dict[str, Any]:
        values = {f"v{i}": column for i, column in enumerate(rows_of(n, seed).T)}
        return {"row_id": np.arange(n), "label": np.ones(n, np.int32), "run_id": np.full(n, "benchmark"), **values}

    write("encoder", contracts.encoder(), {"run_id": ["r"], "document": [encoder().to_json()], "settings": ["{}"]})
    write("features", contracts.features(encoder()), {"split": np.full(n_real, "train"), **features(n_real, 0)})
    parents = np.arange(n_made) % n_real
    write(
        "synthetic",
        contracts.synthetic(encoder()),
        {
            "base_row_id": parents,
            "neighbor_row_id": (parents + 1) % n_real,
            "gap": np.full(n_made, 0.5),
            "method": np.full(n_made, "smote"),
            **features(n_made, 1),
        },
    )


def refine_command(folder: Path, model: str, ranks: int, device: str = "auto") -> float:
    """Seconds of the whole command on `million_tables`."""
    config = folder / f"{model}_{ranks}_{device}.toml"
    config.write_text(
        f'[run]\nname = "benchmark"\nwarehouse = "tables"\n[source]\npath = "x"\nlabel = "y"\n'
        f'[refine]\nmodel = "{model}"\ndevice = "{device}"\n'
    )
    start = [sys.executable, "-m"]
    if ranks > 1:
        start += ["torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", "-m"]
    started = time.monotonic()
    subprocess.run([*start, "raresmith.gan.train", config], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return time.monotonic() - started


def million_part(folder: Path) -> list[dict[str, Any]]:
    """A million synthetic rows of 30 columns, from Delta to Delta."""
    million_tables(folder)
    results = []
    for model in ("gan", "redraw"):
        for ranks in (1, 2):
            seconds = refine_command(folder, model, ranks)
            # Of the largest child that ended so far: of one process that is one rank.
            most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            results.append({"task": f"{model}, {ranks} ranks", "seconds": seconds, "most_MB_so_far": most})
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--part", choices=["step", "rows", "ranks", "million", "all"], default="all")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        train_ours(json.loads(arguments.one))
        return
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        parts: dict[str, Callable[[], Any]] = {
            "step": lambda: step_part(arguments.turns, Path(temporary)),
            "rows": lambda: rows_part(arguments.turns, Path(temporary)),
            "ranks": lambda: ranks_part(arguments.turns),
            "million": lambda: million_part(Path(temporary)),
        }
        for name, part in parts.items():
            if arguments.part in (name, "all"):
                results[name] = part()
                print(f"\n{name}")
                print_figures(results[name])
    name = "refine" if arguments.part == "all" else f"refine_{arguments.part}"
    print(f"\nWritten to {write_results(name, results)}")


if __name__ == "__main__":
    main()

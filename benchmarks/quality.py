"""How real, how useful and how private made rows are, on public tables, for each way of making them.

python benchmarks/quality.py [--data FOLDER] [--tables ...] [--ways ...] [--seeds 5]

Half of the minority and up to 10,000 majority rows are given to a way of making rows, the other half is held out; rows
are made until the classes are 1:1. Of the made rows, mean and standard deviation over the seeds:

- auc: area under the ROC curve of a boosted classifier, five folds, between made rows and as many held-out real
  minority rows; 0.5 means that it cannot tell them apart.
- ap, f1: average precision on held-out rows of a forest of 200 trees, and of a logistic regression, that learnt from
  given and made rows; F1 of the forest at the threshold that is best on the half of the held-out rows it is not
  measured on.
- dcr: median distance from a made row to the closest given minority row, numbers standardised, categories as codes,
  and in brackets that of held-out real rows.
- copies: share of the made rows that equal a given one.

FOLDER holds creditcard/, mixed/ and paper/; the Handbook's features are the table `features` that `raresmith prepare
conf/handbook.toml` leaves. CTGAN and TVAE run in the environment of benchmarks/peers.txt. Figures of other tables and
ways that the results file has stay there.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE, SMOTENC
from measuring import RESULTS, print_figures, write_results
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from raresmith.encoding.encoder import CategoricalFeature, Encoder, Feature, Label, NumericFeature
from raresmith.oversampling.base import Features, MadeRows
from raresmith.oversampling.crossover import Crossover
from raresmith.oversampling.plan import plan_class

Latent = Literal["synthetic", "noise"]
Rows = NDArray[np.float32]
"""(n, columns), numbers as they are and categories as codes."""
ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv-peers" / "bin" / "python"
FILES = {
    "creditcard": "creditcard/creditcard.parquet",
    "bank_marketing": "mixed/bank_marketing.parquet",
    "vehicle_claims": "mixed/vehicle_claims.parquet",
    "abalone": "paper/abalone.csv",
    "yeast": "paper/yeast_2_vs_4.csv",
    "winequality": "paper/winequality_red_8_vs_6.csv",
}
TABLES = [*FILES, "handbook"]
IDENTIFIERS = {"PolicyNumber"}
NEIGHBORS = 10
"""Of the crossover rows that models start from."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table in memory; `y` is 1 for the minority."""

    x: Rows
    y: NDArray[np.int64]
    is_categorical: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Given:
    """What a way of making rows is told."""

    minority: Rows
    is_categorical: NDArray[np.bool_]
    n_rows: int
    seed: int


def read(name: str, data: Path) -> Table:
    if name == "handbook":
        from raresmith.gan.data.tables import query, read_table

        found = query(read_table(str(ROOT / "warehouse" / "handbook" / "features")), "SELECT * FROM t").read_all()
        frame = found.to_pandas().sort_values("row_id")  # a query gives them in any order
        frame = frame[frame["split"] == "train"].drop(columns=["row_id", "split", "run_id"])
        y = frame.pop("label").to_numpy()
        is_categorical = np.array([frame[c].nunique() == 2 for c in frame])
        return Table(frame.to_numpy("float32"), y, is_categorical)
    path = data / FILES[name]
    frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    y = frame.pop("Class" if "Class" in frame else "label").to_numpy()
    frame = frame.drop(columns=[c for c in frame if c in IDENTIFIERS])
    is_categorical = np.array([not pd.api.types.is_numeric_dtype(frame[c]) for c in frame])
    for c in frame.columns[is_categorical]:
        frame[c] = frame[c].astype("category").cat.codes
    return Table(frame.to_numpy("float32"), y, is_categorical)


# Ways of making rows


def nothing(given: Given) -> Rows:
    return np.empty((0, given.minority.shape[1]), np.float32)


def copies(given: Given) -> Rows:
    return given.minority[np.random.default_rng(given.seed).integers(0, len(given.minority), given.n_rows)]


def imblearn_smote(given: Given) -> Rows:
    """imbalanced-learn's SMOTE or SMOTENC, on standardised numbers."""
    x, numbers = given.minority.copy(), ~given.is_categorical
    scaler = StandardScaler().fit(x[:, numbers])
    x[:, numbers] = scaler.transform(x[:, numbers])
    others = np.zeros((len(x) + given.n_rows, x.shape[1]), np.float32)  # a majority only for the count
    codes = np.flatnonzero(given.is_categorical).tolist()
    sampler = SMOTENC(codes, random_state=given.seed) if codes else SMOTE(random_state=given.seed)
    made = sampler.fit_resample(np.r_[x, others], np.r_[np.ones(len(x)), np.zeros(len(others))])[0][
        len(x) + len(others) :
    ]
    made[:, numbers] = scaler.inverse_transform(made[:, numbers])
    return np.asarray(made, np.float32)


def crossover(given: Given) -> Rows:
    encoded = Encoded(given)
    return encoded.decoded(encoded.crossover(5).columns)


def model(name: str, latent: Latent = "synthetic", **settings: Any) -> Callable[[Given], Rows]:
    """Our trainer's model `name`, from synthetic rows or from noise.

    `redraw` starts from the given rows themselves, as `oversample.method = "random"` leaves them, others from crossover
    rows.
    """

    def make(given: Given) -> Rows:
        return Encoded(given).refined(name, latent, settings)

    return make


def peer(name: str) -> Callable[[Given], Rows]:
    """A synthesizer of the package ctgan, with its own settings."""

    def make(given: Given) -> Rows:
        with tempfile.TemporaryDirectory() as folder:
            told, made = Path(folder, "given.npz"), Path(folder, "made.npy")
            np.savez(told, x=given.minority, is_categorical=given.is_categorical)
            script = Path(__file__).with_name("peers.py")
            subprocess.run(
                [PEERS, script, "make", name, told, str(given.n_rows), str(given.seed), made],
                check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
            rows: Rows = np.load(made)
        return rows

    return make


WAYS: dict[str, Callable[[Given], Rows]] = {
    "nothing": nothing,
    "copies": copies,
    "SMOTE": imblearn_smote,
    "crossover": crossover,
    "redraw": model("redraw"),
    "redraw from noise": model("redraw", "noise"),
    "gan": model("gan", steps=2000, batch_size=64),
    "wgan_gp": model("wgan_gp", steps=2000, batch_size=64),
    "vae": model("vae", steps=2000, batch_size=64),
    "CTGAN": peer("ctgan"),
    "TVAE": peer("tvae"),
}


class Encoded:
    """The given rows as the trainer reads them: standardised numbers, then codes."""

    def __init__(self, given: Given) -> None:
        self.given = given
        self.order = np.argsort(given.is_categorical, kind="stable")
        features: list[Feature] = []
        columns = []
        for j in self.order:
            x = given.minority[:, j]
            if given.is_categorical[j]:
                seen = tuple(int(code) for code in np.unique(x))
                words = tuple(str(code) for code in range(seen[-1] + 1))
                features.append(
                    CategoricalFeature(name=f"v{j}", source=f"v{j}", type="string", categories=words, seen=seen)
                )
                columns.append(x)
            else:
                center, scale = float(x.mean(dtype=float)), float(x.std(dtype=float)) or 1.0
                z = ((x - center) / scale).astype(np.float32)
                features.append(
                    NumericFeature(
                        name=f"v{j}", source=f"v{j}", type="double", transform="linear", center=center, scale=scale,
                        low=float(x.min()), high=float(x.max()), impute=0.0, step=_step(x), storage="float",
                        encoded_low=float(z.min()), encoded_high=float(z.max()),
                    )
                )  # fmt: skip
                columns.append(z)
        self.features = features
        self.columns = np.ascontiguousarray(np.stack(columns), np.float32)
        label = Label(name="y", type="int", classes=("0", "1"), positive="1")
        fields = [{"name": f.name, "type": f.type} for f in features] + [{"name": "y", "type": "integer"}]
        self.encoder = Encoder(features=tuple(features), label=label, raw_schema=json.dumps({"fields": fields}))

    def crossover(self, n_neighbors: int) -> MadeRows:
        is_categorical = np.array([feature.kind == "categorical" for feature in self.features])
        n = len(self.given.minority)
        plan = plan_class(
            Crossover(), np.arange(n), self.columns, Features(is_categorical), self.given.n_rows,
            min(n_neighbors, n - 1), self.given.seed,
        )  # fmt: skip
        return plan.rows(np.arange(self.given.n_rows))

    def refined(self, name: str, latent: Latent, settings: dict[str, Any]) -> Rows:
        """Rows of the model `name`, trained and generated as the stage does it."""
        import torch

        from raresmith.config import RefineConfig
        from raresmith.gan.artifacts.checkpoint import Checkpoints
        from raresmith.gan.data.batches import BatchLoader
        from raresmith.gan.data.representation import Representation
        from raresmith.gan.data.rows import Rows as Tensors
        from raresmith.gan.folder import open_folder
        from raresmith.gan.generation.copies import TrainRows
        from raresmith.gan.generation.generate import blocks
        from raresmith.gan.models.base import Setting
        from raresmith.gan.privacy.private_gan import make_batch_sampler
        from raresmith.gan.ranks import Ranks
        from raresmith.gan.train import train
        from raresmith.gan.training.early_stopping import EarlyStopping
        from raresmith.generators.registry import GENERATORS

        torch.set_num_threads(1)
        cpu, representation, seed = torch.device("cpu"), Representation(self.encoder), self.given.seed
        # The last step is kept: there is no validation split.
        config = RefineConfig(model=name, latent=latent, validate_every=0, **settings)

        def tensors(columns: NDArray[Any]) -> Tensors:
            named = {feature.name: columns[i] for i, feature in enumerate(self.features)}
            numbers, positions = representation.split(named, "the given rows")
            return Tensors(numbers, positions, torch.zeros(len(numbers), dtype=torch.int64))

        made = self.crossover(NEIGHBORS)
        real = tensors(self.columns)
        start = tensors(self.columns[:, made.base_row_id] if GENERATORS[name].starts_from_base else made.columns)
        setting = Setting(representation=representation, latent=latent, classes=(1,), seed=seed, device=cpu)
        net = GENERATORS[name].model().build(setting, config.parameters, lambda: real)
        ranks = Ranks(0, 1, cpu)
        sampler = make_batch_sampler(ranks, config, net, {1: len(real)}, {1: len(start)}, None)
        with tempfile.TemporaryDirectory() as folder:
            checkpoints = Checkpoints(open_folder(folder), "quality")
            train(config, ranks, net, BatchLoader(sampler, real, start), checkpoints, EarlyStopping(ranks))
        known = TrainRows(
            self.encoder, [{f.name: column for f, column in zip(self.features, self.columns, strict=True)}]
        )
        parts = [block.rows for block in blocks(net, start, made.row_id, known)]
        columns = representation.columns(torch.cat(parts))
        return self.decoded(np.stack([columns[feature.name] for feature in self.features]))

    def decoded(self, columns: NDArray[Any]) -> Rows:
        rows = np.empty((columns.shape[1], len(self.features)), np.float32)
        for j, feature, column in zip(self.order, self.features, columns, strict=True):
            if isinstance(feature, NumericFeature):
                x = column.astype(float) * feature.scale + feature.center
                x = np.round(x / feature.step) * feature.step if feature.step else x
                rows[:, j] = _restored(x, self.given.minority[:, j], 1e-5 * feature.scale)
            else:
                rows[:, j] = column
        return rows


def _step(x: Rows) -> float:
    """The grid that all values lie on: whole numbers, tenths or hundredths; 0 where there is none."""
    for step in (1.0, 0.1, 0.01):
        if np.allclose(x / step, np.round(x / step), rtol=3e-7, atol=0):
            return step
    return 0.0


def _restored(x: NDArray[np.float64], real: Rows, tolerance: float) -> NDArray[np.float64]:
    """Values that are real ones but for the rounding of standardising and back, as they were."""
    values = np.unique(real).astype(float)
    right = np.clip(np.searchsorted(values, x), 0, len(values) - 1)
    left = np.maximum(right - 1, 0)
    near = np.where(np.abs(values[left] - x) < np.abs(values[right] - x), values[left], values[right])
    return np.where(np.abs(near - x) <= tolerance, near, x)


# Judging


def judge(table: Table, way: Callable[[Given], Rows], seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    given, held = np.array_split(rng.permutation(np.flatnonzero(table.y == 1))[:3000], 2)
    given_majority, held_majority = np.array_split(rng.permutation(np.flatnonzero(table.y == 0))[:20_000], 2)
    minority, is_categorical = table.x[given], table.is_categorical
    n_rows = len(given_majority) - len(given)
    made = way(Given(minority, is_categorical, n_rows, seed))
    train, test = np.r_[given, given_majority], np.r_[held, held_majority]
    learnt = np.r_[table.x[train], made], np.r_[table.y[train], np.ones(len(made), int)]
    figures = _useful(learnt, (table.x[test], table.y[test]), is_categorical, seed)

    scaler = StandardScaler().fit(minority[:, ~is_categorical])

    def standardised(x: Rows) -> NDArray[Any]:
        both: NDArray[Any] = np.c_[scaler.transform(x[:, ~is_categorical]), x[:, is_categorical]]
        return both

    closest = NearestNeighbors(n_neighbors=1).fit(standardised(minority))
    real = table.x[held]
    figures["dcr_held_out"] = float(np.median(closest.kneighbors(standardised(real))[0]))
    if len(made):
        known = set(map(bytes, np.ascontiguousarray(minority)))
        figures["copies"] = float(np.mean([bytes(row) in known for row in np.ascontiguousarray(made)]))
        made = made[rng.choice(len(made), min(len(made), len(real)), replace=False)]
        figures["dcr"] = float(np.median(closest.kneighbors(standardised(made))[0]))
        real = real[: len(made)]
        label = np.r_[np.zeros(len(real)), np.ones(len(made))]
        boosted = HistGradientBoostingClassifier(max_iter=80, min_samples_leaf=5)
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        score = cross_val_predict(boosted, np.r_[real, made], label, cv=folds, method="predict_proba")[:, 1]
        figures["auc"] = float(roc_auc_score(label, score))
    return figures


def _useful(learnt: Any, test: Any, is_categorical: NDArray[np.bool_], seed: int) -> dict[str, float]:
    (x, y), (test_x, test_y) = learnt, test
    forest = RandomForestClassifier(200, n_jobs=-1, random_state=seed).fit(x, y)
    columns = make_column_transformer(
        (StandardScaler(), np.flatnonzero(~is_categorical)),
        (OneHotEncoder(handle_unknown="ignore"), np.flatnonzero(is_categorical)),
    )
    regression = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(x, y)
    score = forest.predict_proba(test_x)[:, 1]
    # The rows come minority first: of each class the one half chooses the threshold that the other is measured at.
    halves = np.arange(len(test_y)) % 2
    return {
        "ap": float(average_precision_score(test_y, score)),
        "ap_logistic": float(average_precision_score(test_y, regression.predict_proba(test_x)[:, 1])),
        "f1": float(np.mean([_f1_at_best(score, test_y, halves == half) for half in (0, 1)])),
    }


def _f1_at_best(score: NDArray[Any], y: NDArray[Any], chooses: NDArray[np.bool_]) -> float:
    precision, recall, thresholds = precision_recall_curve(y[chooses], score[chooses])
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(f1_score(y[~chooses], score[~chooses] >= thresholds[min(f1.argmax(), len(thresholds) - 1)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RARESMITH_DATA", "data")))
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--ways", nargs="+", default=[*WAYS])
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    results = {}
    if (before := RESULTS / "quality.json").exists():
        results = {(found["table"], found["way"]): found for found in json.loads(before.read_text())["quality"]}
    for name in arguments.tables:
        table = read(name, arguments.data)
        for way in arguments.ways:
            taken = [judge(table, WAYS[way], seed) for seed in range(arguments.seeds)]
            figures = {key: [f[key] for f in taken] for key in taken[0]}
            means = {key: float(np.mean(f)) for key, f in figures.items()}
            deviations = {key: float(np.std(f)) for key, f in figures.items()}
            results[name, way] = {"table": name, "way": way, "seeds": arguments.seeds, **means, "sd": deviations}
            in_order = sorted(results.values(), key=lambda r: (TABLES.index(r["table"]), [*WAYS].index(r["way"])))
            path = write_results("quality", {"quality": in_order})
            print(json.dumps(results[name, way]), file=sys.stderr, flush=True)
    print_figures(
        in_order, ["table", "way", "seeds", "auc", "ap", "ap_logistic", "f1", "dcr", "dcr_held_out", "copies"]
    )
    print(f"\nWritten to {path}")


if __name__ == "__main__":
    main()

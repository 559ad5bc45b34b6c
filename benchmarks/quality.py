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
- copies: share of the made rows that equal a given one, as closely as 32 bits tell.

Our own ways read the rows as `raresmith prepare` encodes them, learnt from the given rows of both classes, and what
they make comes back as `raresmith publish` decodes it.

FOLDER holds creditcard/, mixed/ and paper/; the Handbook's features are the table `features` that `raresmith prepare
conf/handbook.toml` leaves; `cards` is drawn here, with what raw tables are full of: dates, zeros, sentinels, steps.
CTGAN and TVAE run in the environment of benchmarks/peers.txt. Figures of other tables and ways that the results file
has stay there.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from encoded import Encoded, Latent
from imblearn.over_sampling import SMOTE, SMOTENC
from measuring import RESULTS, print_figures, write_results
from numpy.typing import NDArray
from quality_tables import TABLES, Given, Rows, Table, read
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NO_DISTANCE = 1e-4
"""Numbers off any grid come back as closely as 32 bits hold them standardised."""
PEERS = Path(__file__).parents[1] / ".venv-peers" / "bin" / "python"


# Ways of making rows


def nothing(given: Given) -> Rows:
    return np.empty((0, given.minority.shape[1]))


def copies(given: Given) -> Rows:
    return given.minority[np.random.default_rng(given.seed).integers(0, len(given.minority), given.n_rows)]


def imblearn_smote(given: Given) -> Rows:
    """imbalanced-learn's SMOTE or SMOTENC, on standardised numbers."""
    x, numbers = given.minority.copy(), ~given.is_categorical
    scaler = StandardScaler().fit(x[:, numbers])
    x[:, numbers] = scaler.transform(x[:, numbers])
    others = np.zeros((len(x) + given.n_rows, x.shape[1]))  # a majority only for the count
    codes = np.flatnonzero(given.is_categorical).tolist()
    sampler = SMOTENC(codes, random_state=given.seed) if codes else SMOTE(random_state=given.seed)
    made = sampler.fit_resample(np.r_[x, others], np.r_[np.ones(len(x)), np.zeros(len(others))])[0][
        len(x) + len(others) :
    ]
    made[:, numbers] = scaler.inverse_transform(made[:, numbers])
    return np.asarray(made, float)


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
            np.savez(told, x=given.minority.astype(np.float32), is_categorical=given.is_categorical)
            script = Path(__file__).with_name("peers.py")
            subprocess.run(
                [PEERS, script, "make", name, told, str(given.n_rows), str(given.seed), made],
                check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
            rows: Rows = np.load(made).astype(float)
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


# Judging


def judge(table: Table, way: Callable[[Given], Rows], seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    given, held = np.array_split(rng.permutation(np.flatnonzero(table.y == 1))[:3000], 2)
    given_majority, held_majority = np.array_split(rng.permutation(np.flatnonzero(table.y == 0))[:20_000], 2)
    train, test = np.r_[given, given_majority], np.r_[held, held_majority]
    minority, is_categorical = table.x[given], table.is_categorical
    n_rows = len(given_majority) - len(given)
    made = way(Given(table, given, given_majority, n_rows, seed))
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
        distance = closest.kneighbors(standardised(made))[0]
        figures["copies"] = float((distance < NO_DISTANCE).mean())
        drawn = rng.choice(len(made), min(len(made), len(real)), replace=False)
        made, distance = made[drawn], distance[drawn]
        figures["dcr"] = float(np.median(distance))
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

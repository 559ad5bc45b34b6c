"""One TOML file describes a run: each section is one frozen dataclass here, checked as it is loaded."""

import dataclasses
import hashlib
import itertools
import json
import math
import os
import re
import tomllib
import types
import typing
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

from raresmith.errors import ConfigError

T = TypeVar("T")
Normalisation = Literal["standard", "minmax", "robust", "quantile", "log", "none"]
ValuePolicy = Literal["impute", "quarantine", "refuse"]
Method = Literal["smote", "smoten", "crossover", "borderline-1", "borderline-2", "adasyn", "random", "imblearn"]
SURROUNDED: tuple[Method, ...] = ("borderline-1", "borderline-2", "adasyn")
"""The methods that look at other classes."""
Strategy = Literal["none", "class_weight", "random", "reduced", Method, "refined"]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """`[run]`: what the run is called and where its tables lie."""

    name: str
    """Name of the run; letters, digits, '-' and '_'. With the logical date it is the run id."""
    warehouse: str
    """Folder or s3a:// URL that holds the Delta tables; a relative path counts from the configuration file."""
    random_state: int = 0
    """Seed of everything random; at least 0."""
    incremental: bool = False
    """Each run, named by its logical date, brings one batch of raw rows; the rows of other runs stay as they are."""

    def __post_init__(self) -> None:
        _require(
            re.fullmatch(r"[A-Za-z0-9_-]+", self.name) is not None,
            f"run.name must hold only letters, digits, '-' and '_', got {self.name!r}",
        )
        _require(0 <= self.random_state < 2**63, f"run.random_state must be in [0, 2^63), got {self.random_state}")


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """`[source]`: the raw table."""

    path: str
    """File, folder or URL; `${NAME}` and `${NAME:-default}` are taken from the environment, `{logical_date}` from the
    run; a relative path counts from the configuration file."""
    label: str
    """Column that holds the class: text, boolean or whole numbers."""
    format: Literal["parquet", "csv", "delta"] = "parquet"
    """Format of the raw table."""
    schema: str = ""
    """Spark DDL of the columns that must be there, such as "amount DOUBLE, country TEXT"; empty takes those of the
    table. For CSV it saves the pass that infers types. A missing, extra or retyped column is refused."""
    key: tuple[str, ...] = ()
    """Columns that identify a row; empty takes the whole row."""
    timestamp: str = ""
    """Column that says when the row happened; needed by a split in time, windows and calendar features."""
    ignore: tuple[str, ...] = ()
    """Columns that are no features: identifiers, and what gives the label away. Made rows carry their base row's."""

    def __post_init__(self) -> None:
        _require(bool(self.label), "source.label must name the column of the class")


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """`[split]`: which rows train, choose and judge; decided before anything is learnt."""

    strategy: Literal["hash", "entity", "time"] = "hash"
    """hash: stratified by class, by hash of row_id; entity: whole entities by hash; time: by dates."""
    fractions: tuple[float, ...] = (0.6, 0.2, 0.2)
    """Shares of train, validation and test for hash and entity; each in (0, 1), summing to 1."""
    entity: str = ""
    """Column whose values stay together (strategy "entity")."""
    train: tuple[str, ...] = ()
    """First and last day (both included, ISO dates) of the train rows (strategy "time"); the others alike."""
    validation: tuple[str, ...] = ()
    """First and last day of the validation rows."""
    test: tuple[str, ...] = ()
    """First and last day of the test rows."""
    delay_days: int = 0
    """Days until a label is known; the test days must start more than this many days after the last train day."""
    known_entity: str = ""
    """Column of the entity (card) that is taken out of the test day once its fraud is known: one labelled positive
    between the first train day and `delay_days` + 1 days before the test day."""

    def __post_init__(self) -> None:
        _require(
            len(self.fractions) == 3
            and all(0 < share < 1 for share in self.fractions)
            and abs(sum(self.fractions) - 1) < 1e-9,
            f"split.fractions must be three shares in (0, 1) that sum to 1, got {list(self.fractions)}",
        )
        _require(self.delay_days >= 0, f"split.delay_days must be at least 0, got {self.delay_days}")
        if self.strategy == "entity":
            _require(bool(self.entity), 'split.entity must name a column when split.strategy is "entity"')
        if self.strategy == "time":
            for name in ("train", "validation", "test"):
                self.days(name)
            (_, last_train), (first_test, _) = self.days("train"), self.days("test")
            gap = (first_test - last_train).days - 1
            _require(
                first_test > last_train and gap >= self.delay_days,
                f"split.test starts {first_test}, {gap} whole days after split.train ends; it must be at least "
                f"split.delay_days = {self.delay_days} days later, or the model is judged on labels it could not know",
            )
            spans = sorted((self.days(name), name) for name in ("train", "validation", "test"))
            for (earlier, one), (later, two) in itertools.pairwise(spans):
                _require(earlier[1] < later[0], f"split.{one} and split.{two} share days; each day has one split")
            _require(
                self.days("validation")[1] < first_test,
                "split.validation must end before split.test starts; thresholds may not be chosen in hindsight",
            )

    def days(self, name: str) -> tuple[date, date]:
        """First and last day of the split `name` ("train", "validation" or "test")."""
        value = getattr(self, name)
        try:
            first, last = (date.fromisoformat(day) for day in value)
        except ValueError:
            raise ConfigError(f"split.{name} must be a first and a last day as ISO dates, got {list(value)}") from None
        _require(first <= last, f"split.{name} must not end before it starts, got {list(value)}")
        return first, last


@dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """`[[prepare.windows]]`: features of the past of one entity; each ends `delay_days` before the row itself."""

    entity: str
    """Column whose rows are looked back on."""
    days: tuple[int, ...] = (1, 7, 30)
    """Lengths of the windows in days of 24 hours, each (now - days, now]; at least 1."""
    count: bool = True
    """Add the number of rows: `<entity>_count_<days>d`."""
    mean: tuple[str, ...] = ()
    """Add the mean of these columns: `<entity>_mean_<column>_<days>d`; 0 where the window is empty."""
    risk: bool = False
    """Add the share of positive rows: `<entity>_risk_<days>d`; 0 where the window is empty. Needs delay_days."""
    delay_days: int = 0
    """The windows end this many days before the row: labels newer than that are not known yet."""

    def __post_init__(self) -> None:
        _require(
            len(self.days) > 0 and all(day >= 1 for day in self.days) and len(set(self.days)) == len(self.days),
            f"prepare.windows.days must be different whole numbers of at least 1, got {list(self.days)}",
        )
        _require(self.delay_days >= 0, f"prepare.windows.delay_days must be at least 0, got {self.delay_days}")
        _require(
            not self.risk or self.delay_days >= 1,
            f"prepare.windows.risk of {self.entity} needs delay_days of at least 1: "
            "without a delay a row would see its own label",
        )


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """`[prepare]`: features, their encoding, and what happens to bad values."""

    features: tuple[str, ...] = ()
    """Raw columns that are features; empty takes all but the label, key, timestamp and ignored columns."""
    categorical: tuple[str, ...] = ()
    """Number columns whose values are names, not quantities."""
    calendar: tuple[Literal["weekend", "night", "hour", "weekday", "day"], ...] = ()
    """Features made from source.timestamp: Saturday or Sunday, hour at most 6, hour 0-23, weekday 0 (Monday) to 6,
    day of the month."""
    windows: tuple[WindowConfig, ...] = ()
    """Features of an entity's past."""
    normalise: Normalisation = "standard"
    """How numbers are scaled: standard (mean, deviation), minmax (to [-1, 1]), robust (median, quartiles), quantile
    (to a normal distribution), log (log1p of the size with its sign, then standard), none."""
    normalise_columns: dict[str, Normalisation] = field(default_factory=dict)
    """The same for single columns."""
    max_categories: int = 1000
    """Most categories kept for a column, the most frequent first; the rest share the bucket of unseen values."""
    on_null: ValuePolicy = "impute"
    """Null numbers: impute the mean beside an indicator feature, quarantine the row, or refuse the run. Null
    categories are a category of their own unless quarantined or refused."""
    on_nan: ValuePolicy = "impute"
    """NaN: as a null."""
    on_infinite: Literal["quarantine", "refuse"] = "quarantine"
    """Numbers that are infinite as 32-bit floats (size above 3.4e38)."""
    on_duplicate: Literal["keep", "quarantine", "refuse"] = "keep"
    """Rows that repeat another in every column. Rows that share a key but differ are always quarantined but one."""

    def __post_init__(self) -> None:
        _require(
            2 <= self.max_categories <= 2**20,
            f"prepare.max_categories must be from 2 to {2**20}, got {self.max_categories}",
        )


def _require_strategy(key: str, strategy: float | str | dict[str, int], words: tuple[str, ...]) -> None:
    if isinstance(strategy, str):
        _require(
            strategy in words,
            f"{key} must be a number in (0, 1], a table of rows per class or one of {list(words)}, got {strategy!r}",
        )
    elif isinstance(strategy, dict):
        _require(
            len(strategy) > 0 and all(count >= 0 for count in strategy.values()),
            f"{key} must give each class at least 0 rows, got {strategy}",
        )
    else:
        _require(0 < strategy <= 1, f"{key} must be in (0, 1], got {strategy}")


@dataclass(frozen=True, kw_only=True)
class OversampleConfig:
    """`[oversample]`: how many rows of which class, and how they are drawn."""

    method: Method = "smote"
    """smote: Chawla et al. 2002; tables with categorical features as SMOTE-NC does. smoten: the same paper's SMOTE-N,
    for tables of categories only. crossover: each column whole from the row or from its neighbour, so that every value
    is a real one (docs/methods.md). borderline-1 and -2: Han et al. 2005, from rows among rows of other classes.
    adasyn: He et al. 2008, the more the more of these are near. random: real rows again. imblearn: `sampler` of
    imbalanced-learn, run on one spatial cell of the table at a time."""
    sampling_strategy: float | str | dict[str, int] = "auto"
    """As in imbalanced-learn: minority ÷ majority after resampling (two classes), one of "minority", "not minority",
    "not majority", "all", "auto", or the wished number of rows per class."""
    k_neighbors: int = 5
    """Nearest rows of the same class that a row may be drawn towards; at least 1."""
    m_neighbors: int = 10
    """Nearest rows of the whole table by which borderline knows that a row is in danger; at least 1."""
    on_few_neighbors: Literal["reduce", "refuse"] = "reduce"
    """A class with at most k_neighbors rows: use the neighbours there are, or refuse. One row alone is refused."""
    num_partitions: int = 0
    """Tasks that make the rows; 0 takes Spark's default parallelism. The rows do not depend on it."""
    neighbors: Literal["auto", "exact", "cells", "partition"] = "auto"
    """Where a row's neighbours are looked for. exact: the whole class, which each executor gets. cells: the spatial
    cells around the row. partition: parts of 10,000 rows without regard to space, which misses most neighbours.
    auto: exact up to max_exact_bytes, cells beyond."""
    min_recall: float = 0.95
    """Share of the true neighbours that cells must find, measured on 1,000 rows; in (0, 1]."""
    undersampling_strategy: float | str | dict[str, int] = "none"
    """How many rows are left after oversampling, chosen by hash. As in imbalanced-learn: minority ÷ majority (two
    classes); "majority", "not minority", "not majority", "all" or "auto" (= "not minority"), which bring the named
    classes to the size of the smallest; the rows to keep per class; or "none"."""
    cleaning: Literal["none", "tomek", "enn"] = "none"
    """Rows of any class taken out afterwards. tomek: both of a Tomek link, two rows of different classes that are each
    other's nearest (Tomek 1976). enn: rows that have another class among their enn_neighbors nearest (Wilson 1972)."""
    enn_neighbors: int = 3
    """Nearest rows that must all be of a row's class; at least 1."""
    max_exact_bytes: int = 128 * 2**20
    """Most bytes of one class's rows that are sent to every executor, whose Python workers take three times as much
    each; a larger class is sent cell by cell."""
    sampler: str = ""
    """Class of imblearn.over_sampling, such as "SVMSMOTE" or "KMeansSMOTE" (method "imblearn")."""
    sampler_params: dict[str, bool | int | float | str] = field(default_factory=dict)
    """Its keywords, where imbalanced-learn's defaults are not to be; without them it takes k_neighbors and m_neighbors
    from here."""
    cell_rows: int = 20_000
    """Rows of a cell that the sampler sees, about, and never more than twice as many; at least 1,000. A table with no
    more train rows is one cell."""

    def __post_init__(self) -> None:
        words = ("minority", "not minority", "not majority", "all", "auto")
        _require_strategy("oversample.sampling_strategy", self.sampling_strategy, words)
        fewer = ("none", "majority", "not minority", "not majority", "all", "auto")
        _require_strategy("oversample.undersampling_strategy", self.undersampling_strategy, fewer)
        _require(self.k_neighbors >= 1, f"oversample.k_neighbors must be at least 1, got {self.k_neighbors}")
        _require(self.m_neighbors >= 1, f"oversample.m_neighbors must be at least 1, got {self.m_neighbors}")
        _require(self.enn_neighbors >= 1, f"oversample.enn_neighbors must be at least 1, got {self.enn_neighbors}")
        _require(self.num_partitions >= 0, f"oversample.num_partitions must be at least 0, got {self.num_partitions}")
        _require(
            self.method not in SURROUNDED or self.neighbors != "partition",
            f'oversample.neighbors must be "exact" or "cells" with method {self.method}, got {self.neighbors!r}',
        )
        _require(0 < self.min_recall <= 1, f"oversample.min_recall must be in (0, 1], got {self.min_recall}")
        _require(
            self.max_exact_bytes >= 2**20,
            f"oversample.max_exact_bytes must be at least {2**20}, got {self.max_exact_bytes}",
        )
        if self.method == "imblearn":
            _require(
                bool(self.sampler),
                'oversample.sampler must name a class of imblearn.over_sampling, such as "SVMSMOTE", when '
                'oversample.method is "imblearn"',
            )
        else:
            _require(
                not self.sampler and not self.sampler_params,
                f'oversample.sampler and oversample.sampler_params need oversample.method = "imblearn", got '
                f"{self.method!r}; set that, or leave them out",
            )
        ours = ("sampling_strategy", "random_state", "n_jobs", "categorical_features")
        _require(
            not (taken := sorted(set(ours) & self.sampler_params.keys())),
            f"oversample.sampler_params names {taken}, which raresmith sets itself; leave them out",
        )
        _require(self.cell_rows >= 1000, f"oversample.cell_rows must be at least 1000, got {self.cell_rows}")

    @property
    def removes(self) -> bool:
        """Whether rows are taken out as well."""
        return self.undersampling_strategy != "none" or self.cleaning != "none"


HOW_STARTED = ("nproc_per_node", "max_restarts")
"""Of `[refine]`, what no row depends on: fewer processes go on where more of them stopped."""


@dataclass(frozen=True, kw_only=True)
class PrivacyConfig:
    """`[refine.privacy]`: training that is differentially private for each train row (docs/models.md)."""

    epsilon: float
    """Most that training may spend, above 0; the noise is as large as the steps and the batch size then ask for."""
    delta: float = 1e-5
    """Chance that `epsilon` does not hold; above 0, and less than one by the real rows that are trained on."""
    max_grad_norm: float = 1.0
    """Length to which the gradient of each row is cut, above 0; the noise grows with it."""

    def __post_init__(self) -> None:
        for name in ("epsilon", "max_grad_norm"):
            value = getattr(self, name)
            _require(0 < value < math.inf, f"refine.privacy.{name} must be a number above 0, got {value}")
        _require(0 < self.delta < 1, f"refine.privacy.delta must be in (0, 1), got {self.delta}")


@dataclass(frozen=True, kw_only=True)
class RefineConfig:
    """`[refine]`: the model and how torchrun starts it."""

    model: Literal["redraw", "gan", "wgan_gp", "vae"] = "redraw"
    """redraw: some columns of each row drawn anew by a model of all columns (docs/models.md); gan (Goodfellow et al.
    2014); wgan_gp (Gulrajani et al. 2017; a step is one of its critic); vae (Kingma, Welling 2014)."""
    architecture: Literal["small", "smotified"] = "small"
    """small: generator d-32-64-128-d, discriminator d-128-64-32-32-16-1; smotified: d-128-256-512-1024-d and
    d-512-256-128-1 (Sharma et al. 2022, IEEE Access 10:30655)."""
    latent: Literal["synthetic", "noise"] = "synthetic"
    """What the generator starts from: SMOTE rows or standard normal noise."""
    steps: int = 500
    """Training steps, each one discriminator and one generator update; at least 1."""
    batch_size: int = 128
    """Rows of one step over all ranks: half real, half fake in the discriminator's; even, at least 4."""
    accumulate: int = 1
    """Parts that each process cuts its rows of a step into, one in memory at a time, their gradients added up; at least
    1. BatchNorm, in the generators of gan and wgan_gp, then looks at a part of the batch at a time."""
    learning_rate: float | None = None
    """Adam's step size; above 0. Without it 0.003 for redraw and 0.0002 for the others."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What the networks compute in while they are trained (mixed precision); weights and made rows are float32."""
    compile: bool = False
    """Whether the networks are trained compiled (torch.compile), which on a CPU takes a C++ compiler; without it
    training goes on uncompiled. Not for redraw, of which each step takes other columns."""
    validate_every: int = 100
    """Steps between two looks at refined rows by the validation rows; the weights of the best look are kept
    (docs/models.md). 0 looks never and keeps those of the last step."""
    patience: int = 5
    """Looks without a better one after which training stops; at least 1."""
    checkpoint_every: int = 500
    """Steps between checkpoints; at least 1."""
    nproc_per_node: int = 1
    """Processes that torchrun starts on this machine, or jobs/refine_on_executors.py on a cluster's; at least 1."""
    max_restarts: int = 3
    """Times torchrun starts the processes again after one died; at least 0."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: CUDA (nccl) where there is one, else CPU (gloo)."""
    privacy: PrivacyConfig | None = None
    """`[refine.privacy]`; without it training is not differentially private."""

    def __post_init__(self) -> None:
        if self.privacy is not None:
            self._check_private()
        for name in ("steps", "accumulate", "patience", "checkpoint_every", "nproc_per_node"):
            _require(getattr(self, name) >= 1, f"refine.{name} must be at least 1, got {getattr(self, name)}")
        _require(
            self.batch_size >= 4 and self.batch_size % 2 == 0,
            f"refine.batch_size must be even and at least 4, got {self.batch_size}",
        )
        _require(
            not (self.compile and self.model == "redraw"),
            'refine.compile = true does not go with refine.model = "redraw", of which each step takes other columns; '
            "leave it out",
        )
        _require(0 < self.step_size < 1, f"refine.learning_rate must be in (0, 1), got {self.learning_rate}")
        for name in ("validate_every", "max_restarts"):
            _require(getattr(self, name) >= 0, f"refine.{name} must be at least 0, got {getattr(self, name)}")

    def _check_private(self) -> None:
        """Refuse what would look at real rows beside the noise."""
        refused = {
            f'refine.model = "{self.model}", of which only "gan" learns from real rows by noisy gradients; set that': (
                self.model != "gan"
            ),
            'refine.latent = "synthetic", for synthetic rows are made of real ones; set "noise"': (
                self.latent == "synthetic"
            ),
            f"refine.accumulate = {self.accumulate}, for a sample has no fixed size to be cut; set 1": self.accumulate
            > 1,
            f'refine.precision = "{self.precision}", for gradients are cut exactly; set "float32"': (
                self.precision != "float32"
            ),
            "refine.compile = true, for the gradient of each row is taken layer by layer; set false": self.compile,
            f"refine.validate_every = {self.validate_every}, for looks choose weights by real rows; set 0": (
                self.validate_every > 0
            ),
        }
        for found, is_found in refused.items():
            _require(not is_found, f"refine.privacy does not go with {found}")

    @property
    def step_size(self) -> float:
        """`learning_rate`, or the model's own."""
        if self.learning_rate is not None:
            return self.learning_rate
        return {"redraw": 3e-3}.get(self.model, 2e-4)


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """`[evaluate]`: the random forest that judges, and what it is asked."""

    strategies: tuple[Strategy, ...] = ("none", "class_weight", "random", "smote", "refined")
    """What the forest is trained on: the rows as they are, weighed by class, with minority rows repeated to as many as
    oversample made, without those that undersampling and cleaning took out ("reduced"), without these but with the rows
    of oversample.method or the refined rows."""
    seeds: tuple[int, ...] = (0,)
    """One forest per strategy and seed."""
    positive: str = ""
    """Class whose detection is judged; empty takes the rarest of the train rows."""
    num_trees: int = 100
    """Trees of a forest; at least 1."""
    max_depth: int = 15
    """Depth of a tree; 1 to 30."""
    max_bins: int = 128
    """Bins that a numeric column is cut into; at least 2. Categories of a column with more of them (and two codes for
    unseen and null) are split in their order instead of by sets."""
    min_instances_per_node: int = 1
    """Fewest rows of a leaf; at least 1."""
    subsampling_rate: float = 1.0
    """Share of the rows that a tree sees; in (0, 1]."""
    feature_subset_strategy: str = "auto"
    """Columns that a split may look at, as MLlib names them: auto, all, sqrt, log2, onethird, or a number."""
    entity: str = ""
    """Raw column of the cards for card precision; with source.timestamp."""
    top_k: int = 100
    """Cards that can be checked a day, for card precision@top_k; at least 1."""
    bootstrap: int = 200
    """Resamples of the test rows behind each interval of 95 %; at least 20."""

    def __post_init__(self) -> None:
        _require(len(self.strategies) > 0, "evaluate.strategies must name at least one strategy")
        _require(len(set(self.strategies)) == len(self.strategies), "evaluate.strategies names a strategy twice")
        _require(
            len(self.seeds) > 0 and len(set(self.seeds)) == len(self.seeds),
            f"evaluate.seeds must be different numbers, got {list(self.seeds)}",
        )
        for name, low, high in (
            ("num_trees", 1, 10_000),
            ("max_depth", 1, 30),
            ("max_bins", 2, 2**16),
            ("min_instances_per_node", 1, 2**31 - 1),
            ("top_k", 1, 2**31 - 1),
            ("bootstrap", 20, 100_000),
        ):
            value = getattr(self, name)
            _require(low <= value <= high, f"evaluate.{name} must be from {low} to {high}, got {value}")
        _require(
            0 < self.subsampling_rate <= 1, f"evaluate.subsampling_rate must be in (0, 1], got {self.subsampling_rate}"
        )


Value = bool | int | float | str
"""What a TOML file can say of a value; dates and timestamps as ISO texts."""


@dataclass(frozen=True, kw_only=True)
class RangeConfig:
    """A column's table in `[publish.constraints] ranges`: the least and the greatest value, or one of them."""

    low: int | float | str | None = None
    """A number, or for dates and timestamps an ISO text."""
    high: int | float | str | None = None
    """The same; not below `low`."""


@dataclass(frozen=True, kw_only=True)
class SumConfig:
    """A table of `[publish.constraints] sums`: columns that add up."""

    columns: tuple[str, ...]
    """Numbers; at least two."""
    total: int | float | str
    """What they add up to: a column, or a number."""

    def __post_init__(self) -> None:
        _require_several("publish.constraints.sums.columns", self.columns)
        _require(
            self.total not in self.columns,
            f"publish.constraints.sums has the total {self.total!r} among its columns {list(self.columns)}; "
            "name another, or leave it out of them",
        )


@dataclass(frozen=True, kw_only=True)
class CombinationConfig:
    """A table of `[publish.constraints] combinations`: columns whose values go together."""

    columns: tuple[str, ...]
    """At least two."""
    values: tuple[tuple[Value, ...], ...] = ()
    """The combinations that are allowed, each with a value for each column; without it those that train rows have."""

    def __post_init__(self) -> None:
        _require_several("publish.constraints.combinations.columns", self.columns)
        for row in self.values:
            _require(
                len(row) == len(self.columns),
                f"publish.constraints.combinations.values must give each of {list(self.columns)} a value, "
                f"got {list(row)}",
            )


def _require_several(key: str, columns: tuple[str, ...]) -> None:
    _require(
        len(columns) >= 2 and len(set(columns)) == len(columns),
        f"{key} must name at least two different columns, got {list(columns)}",
    )


@dataclass(frozen=True, kw_only=True)
class ConstraintsConfig:
    """`[publish.constraints]`: what holds in every made row that is published (docs/publish.md).

    Columns are those of the raw table, values in its units. Null and NaN are no values: they break `not_null` and no
    range, order or sum, and are a value of their own to combinations.
    """

    not_null: tuple[str, ...] = ()
    """Columns that have a value."""
    ranges: dict[str, RangeConfig] = field(default_factory=dict)
    """By column, numbers, dates or timestamps: both ends are allowed values."""
    combinations: tuple[CombinationConfig, ...] = ()
    """Columns whose values occur together."""
    orders: tuple[tuple[str, ...], ...] = ()
    """Columns, all numbers or all dates and timestamps, none of which is greater than the next one."""
    sums: tuple[SumConfig, ...] = ()
    """Columns that add up to another or to a number."""

    def __post_init__(self) -> None:
        for columns in self.orders:
            _require_several("publish.constraints.orders", columns)
        for name, ends in self.ranges.items():
            _require(
                ends.low is not None or ends.high is not None,
                f"publish.constraints.ranges.{name} must have low, high or both",
            )

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """The columns that each key names."""
        totals = [total for s in self.sums if isinstance(total := s.total, str)]
        return {
            "publish.constraints.not_null": self.not_null,
            "publish.constraints.ranges": tuple(self.ranges),
            "publish.constraints.combinations": tuple(name for c in self.combinations for name in c.columns),
            "publish.constraints.orders": tuple(name for columns in self.orders for name in columns),
            "publish.constraints.sums": (*(name for s in self.sums for name in s.columns), *totals),
        }


@dataclass(frozen=True, kw_only=True)
class PublishConfig:
    """`[publish]`: what the augmented table holds beside the made rows, and which of these are left out."""

    originals: Literal["all", "train", "none"] = "all"
    """Raw rows that are copied in: all that passed the contract, those of the train split, or none (for tables too big
    to copy: then a view unites them)."""
    source: Literal["refined", Method] = "refined"
    """Which made rows are published: refined, or those of oversample.method, which an incremental run takes."""
    min_distance: float = 0.0
    """Made rows nearer than this to the nearest train row of their class are left out; at least 0. In units of the
    median distance from a train row of the class to its own nearest one, distances as `oversample` measures them
    (docs/publish.md). 0 leaves out equal rows only."""
    constraints: ConstraintsConfig = field(default_factory=ConstraintsConfig)
    """What holds in each of them."""

    def __post_init__(self) -> None:
        _require(0 <= self.min_distance < math.inf, f"publish.min_distance must be at least 0, got {self.min_distance}")
        _require(
            self.min_distance == 0 or self.source != "random",
            'publish.min_distance would leave out all rows of publish.source = "random", which are copies; '
            "set it to 0, or publish others",
        )


@dataclass(frozen=True, kw_only=True)
class SimulateConfig:
    """`[simulate]`: card transactions made here, written to source.path in source.format when it is not there yet."""

    rows: int
    """Transactions; at least 1."""
    customers: int = 1000
    """Customers, each with one card; at least 1."""
    terminals: int = 2000
    """Terminals of merchants; at least 1."""
    start: str = "2025-01-01"
    """First day, an ISO date."""
    days: int = 60
    """Days of transactions; at least 1."""
    fraud_share: float = 0.01
    """Share of fraud over the whole table, about; in [0, 0.5]."""

    def __post_init__(self) -> None:
        for name in ("rows", "customers", "terminals", "days"):
            _require(getattr(self, name) >= 1, f"simulate.{name} must be at least 1, got {getattr(self, name)}")
        _require(0 <= self.fraud_share <= 0.5, f"simulate.fraud_share must be in [0, 0.5], got {self.fraud_share}")
        try:
            datetime.fromisoformat(self.start) + timedelta(days=self.days)
        except (ValueError, OverflowError):
            raise ConfigError(f"simulate.start must be an ISO date, got {self.start!r}") from None


@dataclass(frozen=True, kw_only=True)
class SparkConfig:
    """`[spark]`: the session, where spark-submit has not set it. Nothing here changes a row of any table."""

    master: str = "local[*]"
    """Master URL, used only when the job is not started by spark-submit."""
    driver_memory: str = "3g"
    """Heap of the driver, likewise."""
    shuffle_partitions: int = 8
    """Partitions after a shuffle, before adaptive execution joins small ones; at least 1."""
    conf: dict[str, str] = field(default_factory=dict)
    """Further Spark settings, such as the S3 endpoint."""

    def __post_init__(self) -> None:
        _require(
            self.shuffle_partitions >= 1, f"spark.shuffle_partitions must be at least 1, got {self.shuffle_partitions}"
        )


@dataclass(frozen=True, kw_only=True)
class Config:
    """The whole file. `path` is where it was read from, `logical_date` the day the scheduler runs it for, or ""."""

    run: RunConfig
    source: SourceConfig
    split: SplitConfig
    prepare: PrepareConfig
    oversample: OversampleConfig
    refine: RefineConfig
    evaluate: EvaluateConfig
    publish: PublishConfig
    spark: SparkConfig
    simulate: SimulateConfig | None
    path: Path
    logical_date: str = ""

    def __post_init__(self) -> None:
        needs_timestamp = {
            'split.strategy is "time"': self.split.strategy == "time",
            "prepare.calendar is set": bool(self.prepare.calendar),
            "prepare.windows is set": bool(self.prepare.windows),
        }
        for reason, needed in needs_timestamp.items():
            _require(not needed or bool(self.source.timestamp), f"source.timestamp must name a column because {reason}")
        _require(
            self.oversample.removes or "reduced" not in self.evaluate.strategies,
            'evaluate.strategies names "reduced", but no row is taken out; set oversample.undersampling_strategy or '
            "oversample.cleaning, or leave it out",
        )
        method = self.oversample.method
        for key, names in (
            ("evaluate.strategies", self.evaluate.strategies),
            ("publish.source", [self.publish.source]),
        ):
            for name in names:
                _require(
                    name in (method, "random") or name not in typing.get_args(Method),
                    f"{key} names {name!r} but oversample.method is {method!r}; name that, or change the method",
                )
        unfit = {
            **dict.fromkeys(self.source.key, "is a key, which made rows do not have"),
            self.source.label: "is the class, which is not to be repaired",
        }
        for key, columns in self.publish.constraints.columns.items():
            for column in columns:
                _require(
                    column not in unfit or (column == self.source.label and key.endswith("combinations")),
                    f"{key} names the column {column!r}, which {unfit.get(column)}; leave it out",
                )
        if self.run.incremental:
            self._check_incremental()

    def _check_incremental(self) -> None:
        """Refuse what a run cannot do that sees one day's raw rows and leaves the rows of other days alone."""
        _require(
            bool(self.logical_date),
            "run.incremental needs the day that it is run for; name it by --logical-date YYYY-MM-DD",
        )
        refused = {
            "[simulate], which would make the same rows every day; delete it": self.simulate is not None,
            'split.strategy = "time", for all rows of a day have one date; set "hash" or "entity"': (
                self.split.strategy == "time"
            ),
            "prepare.windows, for a day's table does not hold the entity's past; make these columns before": bool(
                self.prepare.windows
            ),
            "evaluate.entity, for a day's table does not hold the entities of earlier days; leave it out": bool(
                self.evaluate.entity
            ),
            '"refined" in evaluate.strategies, for refine makes all its rows anew; leave it out': (
                "refined" in self.evaluate.strategies
            ),
            'oversample.method = "imblearn", whose samplers take all rows of a class as bases; set another': (
                self.oversample.method == "imblearn"
            ),
            "oversample.undersampling_strategy or cleaning, for they look at all rows; leave them out": (
                self.oversample.removes
            ),
            f'publish.source = "refined", for refine makes all its rows anew; set "{self.oversample.method}"': (
                self.publish.source == "refined"
            ),
        }
        for found, is_found in refused.items():
            _require(not is_found, f"run.incremental does not go with {found}")

    @property
    def run_id(self) -> str:
        """Name of the run and, when a scheduler gave one, its logical date; never the clock."""
        return f"{self.run.name}-{self.logical_date}" if self.logical_date else self.run.name

    def hash(self, *sections: str) -> str:
        """Hex digest (16 digits) of the named sections and the seed: equal where the same rows must come out."""
        document: dict[str, Any] = {
            name: dataclasses.asdict(value) if (value := getattr(self, name)) else None for name in sections
        }
        for how in HOW_STARTED:
            (document.get("refine") or {}).pop(how, None)
        document["random_state"] = self.run.random_state
        if self.run.incremental:
            document["incremental"] = True
        return hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _expand(text: str) -> str:
    """Replace `${NAME}` and `${NAME:-default}` by the environment's values."""

    def value(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        found = os.environ.get(name) or default
        _require(found is not None, f"{text!r} needs the environment variable {name}, which is not set")
        return str(found)

    return re.sub(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}", value, text)


def _located(path: str, base: Path) -> str:
    """An absolute path or URL; a relative path counts from `base`."""
    expanded = _expand(path)
    return expanded if "://" in expanded else str((base / Path(expanded).expanduser()).resolve())


def _describe(hint: Any) -> str:
    """A type as a user would say it."""
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(repr(a) for a in arguments)
    if origin is tuple:
        return f"a list, each {_describe(arguments[0])}"
    if origin is dict:
        return f"a table, each value {_describe(arguments[1])}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_describe(a) for a in arguments if a is not types.NoneType)
    return names.get(hint, "a table")


def _checked(value: Any, hint: Any, key: str) -> Any:
    """`value` as the type `hint`, or ConfigError naming `key`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return _section(value, key, hint)
    if origin is tuple and isinstance(value, list):
        return tuple(_checked(item, arguments[0], key) for item in value)
    if origin is dict and isinstance(value, dict):
        return {name: _checked(item, arguments[1], f"{key}.{name}") for name, item in value.items()}
    if origin in (typing.Union, types.UnionType):
        options = [a for a in arguments if a is not types.NoneType]
        if len(options) == 1:
            return _checked(value, options[0], key)
        for option in options:
            try:
                return _checked(value, option, key)
            except ConfigError:
                continue
    if origin is Literal and value in arguments and not isinstance(value, bool):
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if origin is None and type(value) is hint:
        return value
    if isinstance(value, date) and hint is str:
        return value.isoformat()
    raise ConfigError(f"{key} must be {_describe(hint)}, got {value!r}")


def _section(values: dict[str, Any], name: str, cls: type[T]) -> T:
    hints = typing.get_type_hints(cls)
    known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    required = {
        f.name
        for f in fields(cls)  # type: ignore[arg-type]
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    if unknown := sorted(values.keys() - known):
        raise ConfigError(f"[{name}] has unknown keys {unknown}; known keys are {sorted(known)}")
    if missing := sorted(required - values.keys()):
        raise ConfigError(f"[{name}] lacks {missing}")
    return cls(**{key: _checked(value, hints[key], f"{name}.{key}") for key, value in values.items()})


def parse_config(document: dict[str, Any], path: Path, logical_date: str = "") -> Config:
    """The configuration in `document`, as read from the file at `path`.

    Raises
    ------
    ConfigError
        If a section or key is unknown or missing, or a value is of the wrong type or out of range.
    """
    sections: dict[str, Any] = {
        "run": RunConfig,
        "source": SourceConfig,
        "split": SplitConfig,
        "prepare": PrepareConfig,
        "oversample": OversampleConfig,
        "refine": RefineConfig,
        "evaluate": EvaluateConfig,
        "publish": PublishConfig,
        "spark": SparkConfig,
        "simulate": SimulateConfig,
    }
    if unknown := sorted(document.keys() - sections.keys()):
        raise ConfigError(f"{path} has unknown sections {unknown}; known sections are {sorted(sections)}")
    if missing := sorted({"run", "source"} - document.keys()):
        raise ConfigError(f"{path} lacks the sections {missing}")
    if logical_date:
        _require(
            re.fullmatch(r"\d{4}-\d{2}-\d{2}", logical_date) is not None,
            f"the logical date must be an ISO date, got {logical_date!r}",
        )
    for name, value in document.items():
        _require(isinstance(value, dict), f"{name} must be a section, written [{name}], got {value!r}")
    parsed: dict[str, Any] = {
        name: None if name == "simulate" and name not in document else _section(document.get(name, {}), name, cls)
        for name, cls in sections.items()
    }
    run, source, base = parsed["run"], parsed["source"], path.resolve().parent
    parsed["run"] = dataclasses.replace(run, warehouse=_located(run.warehouse, base).rstrip("/"))
    dated = source.path.replace("{logical_date}", logical_date)
    parsed["source"] = dataclasses.replace(source, path=_located(dated, base))
    method, incremental = parsed["oversample"].method, run.incremental
    if "strategies" not in document.get("evaluate", {}):
        oversample = parsed["oversample"]
        reduced = ("reduced",) if oversample.removes else ()
        refined = () if incremental else ("refined",)
        usual = dict.fromkeys(("none", "class_weight", "random", *reduced, method, *refined))
        parsed["evaluate"] = dataclasses.replace(parsed["evaluate"], strategies=tuple(usual))
    if incremental and "source" not in document.get("publish", {}):
        parsed["publish"] = dataclasses.replace(parsed["publish"], source=method)
    return Config(**parsed, path=path.resolve(), logical_date=logical_date)


def load_config(path: str | Path, logical_date: str = "") -> Config:
    """Read and check the TOML file at `path`.

    Raises
    ------
    ConfigError
        If the file is missing or not TOML, or says something that cannot be run.
    """
    path = Path(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no configuration file {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, IsADirectoryError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}") from None
    return parse_config(document, path, logical_date)

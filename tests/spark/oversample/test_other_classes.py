"""Borderline-SMOTE and ADASYN cell by cell."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from tests.oversampling.plans import surrounded
from tests.spark.conf import spark_conf
from tests.spark.neighbors.test_cell_exchange import ENCODER, collected
from tests.spark.oversample.test_oversample import MIXED, mixed_rows

from raresmith.config import OversampleConfig
from raresmith.encoding.encoder import Encoder
from raresmith.errors import DataError
from raresmith.oversampling.registry import OVERSAMPLERS
from raresmith.spark.oversample.oversample import Oversampled, oversample

N_FRAUD, N_FINE = 45_000, 150_000
AMONG_OTHERS = [name for name, kind in OVERSAMPLERS.items() if kind.needs_other_classes]


def rows_of(n_fraud: int = N_FRAUD, n_fine: int = N_FINE, seed: int = 0) -> pd.DataFrame:
    """Two clouds that overlap, near a plane."""
    rng = np.random.default_rng(seed)
    label = np.repeat([1, 0], [n_fraud, n_fine])
    hidden = rng.standard_normal((len(label), 2)) * np.where(label == 1, 0.6, 1.5)[:, None] + label[:, None]
    values = hidden @ rng.standard_normal((2, 4)) + 0.05 * rng.standard_normal((len(label), 4))
    known = {"row_id": rng.permutation(len(label)) * 1_000_003 - 5, "split": "train", "label": label.astype("int32")}
    return pd.concat([pd.DataFrame(known), pd.DataFrame(values.astype("float32"), columns=ENCODER.names)], axis=1)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return rows_of()


def made_of(
    spark: SparkSession, rows: pd.DataFrame, encoder: Encoder, partitions: int = 3, **settings: Any
) -> Oversampled:
    df = spark.createDataFrame(rows).repartition(partitions)
    return oversample(df, encoder, OversampleConfig(**settings), random_state=11, run_id="run-1")


@pytest.mark.parametrize("method", AMONG_OTHERS)
def test_one_cell_makes_the_rows_that_are_made_in_memory(spark: SparkSession, method: str) -> None:
    rows = mixed_rows()
    in_memory = collected(made_of(spark, rows, MIXED, method=method))
    in_cells = made_of(spark, rows, MIXED, method=method, neighbors="cells")
    assert in_cells.measures["fraud"]["cells"] == 1
    pd.testing.assert_frame_equal(collected(in_cells), in_memory, check_exact=True)


@pytest.fixture(scope="module")
def made(spark: SparkSession, rows: pd.DataFrame) -> dict[str, Oversampled]:
    return {
        method: made_of(spark, rows, ENCODER, method=method, sampling_strategy=0.8, max_exact_bytes=2**20)
        for method in AMONG_OTHERS
    }


@pytest.mark.parametrize("method", AMONG_OTHERS)
def test_many_cells_find_nearly_the_same_bases_and_neighbors_as_the_whole_table(
    made: dict[str, Oversampled], rows: pd.DataFrame, method: str
) -> None:
    told = made[method].measures["fraud"]
    assert told["cells"] > 8
    assert told["recall"] >= 0.95
    found = collected(made[method])
    in_order = rows.sort_values("row_id")
    columns, fraud = np.ascontiguousarray(in_order[ENCODER.names].to_numpy().T), in_order["label"].to_numpy() == 1
    row_ids, fine = in_order["row_id"].to_numpy(), in_order[~fraud]
    plan = surrounded(row_ids, columns, fraud, np.zeros(4, bool), 75_000, 5, 11, method, n_threads=2)
    row_ids = row_ids[fraud]
    if method == "adasyn":
        assert len(found) == pytest.approx(plan.n_to_make, rel=0.01)
    else:
        assert len(found) == 75_000
    copies = pd.Series(plan.copies, row_ids[: len(plan.copies)])
    true = copies[copies > 0].index
    bases = found["base_row_id"].unique()
    assert np.isin(bases, true).mean() > 0.95
    assert np.isin(true, bases).mean() > 0.95
    expected = plan.rows(np.arange(plan.n_to_make))
    both = found.merge(pd.DataFrame({"row_id": expected.row_id, "theirs": expected.neighbor_row_id}), on="row_id")
    assert len(both) > 0.9 * plan.n_to_make
    assert (both["theirs"] == both["neighbor_row_id"]).mean() > told["recall"] - 0.08
    is_fine = np.isin(found["neighbor_row_id"], fine["row_id"])
    assert is_fine.any() == (method == "borderline-2")


@pytest.mark.parametrize("method", AMONG_OTHERS)
def test_a_made_row_lies_between_its_parents(made: dict[str, Oversampled], rows: pd.DataFrame, method: str) -> None:
    found = collected(made[method])
    by_id = rows.set_index("row_id")[ENCODER.names]
    base, neighbor = by_id.loc[found["base_row_id"]].to_numpy(), by_id.loc[found["neighbor_row_id"]].to_numpy()
    values = found[ENCODER.names].to_numpy()
    assert (values >= np.minimum(base, neighbor)).all()
    assert (values <= np.maximum(base, neighbor)).all()
    is_fine = by_id.index.isin(rows.query("label == 0")["row_id"])
    assert found["gap"][np.isin(found["neighbor_row_id"], by_id.index[is_fine])].max() < 0.5 or method != "borderline-2"


@pytest.mark.parametrize("adaptive", ["true", "false"])
@pytest.mark.parametrize("method", ["borderline-2", "adasyn"])
def test_any_partitions_and_adaptive_execution_give_the_same_bits(
    spark: SparkSession, rows: pd.DataFrame, made: dict[str, Oversampled], method: str, adaptive: str
) -> None:
    settings = {"method": method, "sampling_strategy": 0.8, "max_exact_bytes": 2**20}
    with spark_conf(spark, {"spark.sql.adaptive.enabled": adaptive}):
        other = made_of(spark, rows, ENCODER, partitions=13, **settings)
        pd.testing.assert_frame_equal(collected(other), collected(made[method]), check_exact=True)


@pytest.mark.parametrize(
    ("method", "message"),
    [("borderline-1", "no row of class 'fraud' has at least half"), ("adasyn", "nowhere to make")],
)
def test_a_class_far_from_all_others_is_refused(spark: SparkSession, method: str, message: str) -> None:
    rows = mixed_rows()
    rows.loc[rows["label"] == 1, "wide"] += 1e12
    with pytest.raises(DataError, match=message):
        made_of(spark, rows, MIXED, method=method, neighbors="cells")


def test_what_is_kept_is_let_go_once_the_rows_are_written(spark: SparkSession, made: dict[str, Oversampled]) -> None:
    assert all(oversampled.kept[0].storageLevel.useDisk for oversampled in made.values())
    for oversampled in made.values():
        oversampled.release()
        assert not oversampled.kept[0].storageLevel.useDisk

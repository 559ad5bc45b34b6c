import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from tests.delta_rows import delta_rows
from tests.gan.conftest import Warehouse

from raresmith.errors import DataError, StorageError
from raresmith.gan.launch import command, environment, launch


def test_the_command_names_processes_restarts_and_day(warehouse: Callable[..., Warehouse]) -> None:
    house = warehouse("nproc_per_node = 3\nmax_restarts = 5")
    words = command(house.config)
    assert words[1:4] == ["-m", "torch.distributed.run", "--standalone"]
    assert words[4:] == [
        *("--nproc-per-node", "3", "--max-restarts", "5", "-m", "raresmith.gan.train", str(house.config_path))
    ]
    alone = warehouse("nproc_per_node = 1").config
    assert command(alone, "--log-dir", "x")[1:] == ["-m", "raresmith.gan.train", str(alone.path)]
    assert environment()["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] == "1"


COUNTED = """
import os
if "RANK" in os.environ:
    with open(os.environ["STARTS"], "a") as file:
        file.write(f"{os.environ['RANK']} of attempt {os.environ['TORCHELASTIC_RESTART_COUNT']}\\n")
"""


KILLED = """
    if int(os.environ["TORCHELASTIC_RESTART_COUNT"]) < int(os.environ["KILLED"]):
        os.kill(os.getpid(), 9)
"""


@pytest.mark.torchrun
def test_launch_starts_a_trainer_that_died_again_and_a_second_time_finds_it_done(
    warehouse: Callable[..., Warehouse],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "sitecustomize.py").write_text(COUNTED + KILLED)
    starts: Path = tmp_path / "starts"
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("STARTS", str(starts))
    monkeypatch.setenv("KILLED", "2")
    house = warehouse("steps = 20\nmax_restarts = 1")
    with pytest.raises(RuntimeError, match="the trainer ended with code -9"):
        launch(house.config)
    monkeypatch.setenv("KILLED", "1")
    with caplog.at_level(logging.INFO, "raresmith"):
        report = launch(house.config)
    assert starts.read_text().splitlines() == 2 * ["0 of attempt 0", "0 of attempt 1"]
    assert report.rows == {"refined": 100} and not report.unchanged
    (last,) = [record for record in caplog.records if "step 20/20" in record.message]
    assert (last.name, last.levelname, vars(last)["stage"]) == ("raresmith.gan.training.progress", "INFO", "refine")
    again = launch(house.config)
    assert again.unchanged and again.rows == {"refined": 100}
    assert "set to its end" in again.words


@pytest.mark.torchrun
def test_what_the_trainer_refuses_is_refused_once_and_in_its_words(
    warehouse: Callable[..., Warehouse], capfd: pytest.CaptureFixture[str]
) -> None:
    house = warehouse("steps = 20\nnproc_per_node = 2")
    columns = delta_rows(house.table("features"))
    bad = pa.array(np.full(len(columns), np.inf), pa.float32())
    write_deltalake(house.table("features"), columns.drop("n0").append_column("n0", bad), mode="overwrite")
    with pytest.raises(DataError, match=r"column n0 of .*features.* has null, NaN or infinite values"):
        launch(house.config)
    assert "raresmith:" not in capfd.readouterr().err


@pytest.mark.torchrun
def test_a_refusal_ends_all_processes_at_once_and_is_the_same_error(
    warehouse: Callable[..., Warehouse], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(COUNTED)
    starts: Path = tmp_path / "starts"
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("STARTS", str(starts))
    settings = "steps = 300\nlearning_rate = 0.99\nbatch_size = 4\nnproc_per_node = 2\nmax_restarts = 3"
    house = warehouse(settings, numeric=1)
    columns = delta_rows(house.table("features"))
    big = pa.array(np.full(len(columns), 3e38), pa.float32())
    write_deltalake(house.table("features"), columns.drop("n0").append_column("n0", big), mode="overwrite")
    with pytest.raises(DataError, match=r"no longer finite at step .* refine\.learning_rate, now 0\.99") as refused:
        launch(house.config)
    assert refused.value.fields["learning_rate"] == 0.99 and "{step}" in refused.value.message
    assert sorted(starts.read_text().splitlines()) == ["0 of attempt 0", "1 of attempt 0"]


FULL = """
import resource
if "RANK" in os.environ:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**13, 2**13))
"""
"""No file of the trainer's grows beyond 8 KiB: what a full disk refuses, anybody may have refused to himself."""


@pytest.mark.torchrun
def test_a_disk_that_takes_no_more_is_told_as_the_system_tells_it_and_not_tried_again(
    warehouse: Callable[..., Warehouse], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(COUNTED + FULL)
    starts: Path = tmp_path / "starts"
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("STARTS", str(starts))
    house = warehouse("steps = 20\nmax_restarts = 3")
    with pytest.raises(StorageError, match=r"^refine cannot go on with its tables: .*File too large"):
        launch(house.config)
    assert starts.read_text().splitlines() == ["0 of attempt 0"]

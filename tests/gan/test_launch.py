import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from tests.delta_rows import delta_rows

from raresmith.errors import DataError
from raresmith.gan.launch import command, environment, launch


def test_the_command_names_processes_restarts_and_day(warehouse):
    house = warehouse("nproc_per_node = 3\nmax_restarts = 5")
    words = command(house.config)
    assert words[1:4] == ["-m", "torch.distributed.run", "--standalone"]
    assert words[4:] == [
        *("--nproc-per-node", "3", "--max-restarts", "5", "-m", "raresmith.gan.train", str(house.config_path))
    ]
    assert environment()["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] == "1"


@pytest.mark.torchrun
def test_launch_runs_the_trainer_and_a_second_time_finds_it_done(warehouse, capfd):
    house = warehouse("steps = 20")
    report = launch(house.config)
    assert report.rows == {"refined": 100} and not report.unchanged
    assert "step 20/20" in capfd.readouterr().err
    again = launch(house.config)
    assert again.unchanged and again.rows == {"refined": 100}
    assert "set to its end" in again.words


@pytest.mark.torchrun
def test_what_the_trainer_refuses_is_refused_once_and_in_its_words(warehouse, capfd):
    house = warehouse("steps = 20\nnproc_per_node = 2")
    columns = delta_rows(house.table("features"))
    bad = pa.array(np.full(len(columns), np.inf), pa.float32())
    write_deltalake(house.table("features"), columns.drop("n0").append_column("n0", bad), mode="overwrite")
    with pytest.raises(DataError, match=r"column n0 of .*features.* has null, NaN or infinite values"):
        launch(house.config)
    assert "raresmith:" not in capfd.readouterr().err

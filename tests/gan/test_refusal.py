import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake.exceptions import DeltaError
from tests.gan.conftest import Warehouse

from raresmith.config import ConfigErrors, RefineConfig
from raresmith.errors import ConfigError, DataError, Key, StorageError
from raresmith.gan import refusal
from raresmith.gan.train import main


def test_an_error_comes_back_from_its_file_with_type_message_and_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "attempt_0" / "1" / "error.json"
    file.parent.mkdir(parents=True)
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(file))
    assert refusal.read(tmp_path) is None
    refusal.write(ConfigError("{key} is {found}", key=Key("refine.steps"), found=3))
    found = refusal.read(tmp_path)
    assert type(found) is ConfigError and str(found) == "refine.steps is 3"
    assert str(found.spelt(lambda key: f"--{key}")) == "--refine.steps is 3"
    # What torch itself looks for.
    message = json.loads(file.read_text())["message"]
    assert message["message"] == "ConfigError: refine.steps is 3" and int(message["extraInfo"]["timestamp"]) > 0


def test_several_mistakes_of_a_configuration_come_back_as_one_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    with pytest.raises(ConfigErrors) as raised:
        RefineConfig(steps=0, patience=0)
    refusal.write(raised.value)
    back = refusal.read(tmp_path)
    assert type(back) is ConfigError and str(back) == str(raised.value)
    assert "refine.steps must be" in str(back) and "refine.patience must be" in str(back)


def test_the_file_of_an_error_that_is_none_of_ours_is_passed_over(tmp_path: Path) -> None:
    for name, message in (("a", "died"), ("b", {"message": "ValueError: no", "extraInfo": {"timestamp": "1"}})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "error.json").write_text(json.dumps({"message": message}))
    assert refusal.read(tmp_path) is None


def test_what_the_trainer_refuses_stands_in_torchruns_file_and_is_said_in_a_sentence(
    warehouse: Callable[..., Warehouse],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    house = warehouse(real={0: 30}, synthetic={1: 5})
    assert main([str(house.config_path)]) == 2
    found = refusal.read(tmp_path)
    assert type(found) is DataError
    assert capsys.readouterr().err == f"raresmith: {found}\n"


def test_without_torchrun_no_file_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TORCHELASTIC_ERROR_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    refusal.write(DataError("no"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_watched", [True, False])
def test_a_process_waits_to_be_ended_where_it_is_watched(is_watched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    if is_watched:
        monkeypatch.setenv(refusal.WATCHED, "1")
    refusal.await_end()
    assert len(waited) == is_watched


def test_the_trainer_by_itself_says_one_sentence_and_ends_with_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "raresmith.gan.train", str(tmp_path / "no.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"raresmith: there is no configuration file {tmp_path / 'no.toml'}\n"


def test_what_the_disk_refuses_is_told_and_what_is_a_fault_of_ours_is_not(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for raised in (
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a.parquet"),
        DeltaError("Generic LocalFileSystem error: Unable to open file: Permission denied (os error 13)"),
        NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(tmp_path / "file" / "a")),
    ):
        told = refusal.of(raised)
        assert type(told) is StorageError and str(raised) in str(told)
    for fault in (
        ValueError("no"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        ConnectionResetError(104, "reset"),
    ):
        assert refusal.of(fault) is None
    refused = DataError("no")
    assert refusal.of(refused) is refused

from pathlib import Path

import pytest
import torch

from raresmith.gan.artifacts.checkpoint import (
    delete_checkpoints,
    newest_checkpoint,
    read_tensors,
    save_checkpoint,
    write_tensors,
)
from raresmith.gan.folder import Bucket, Disk, Folder

RUN = "a" * 32


@pytest.fixture(params=[Disk, Bucket])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    (tmp_path / "models").mkdir()
    return Disk(tmp_path / "models") if request.param is Disk else Bucket(f"file://{tmp_path}/models")


def save(folder: Folder, *steps: int, run: str = RUN) -> None:
    for step in steps:
        save_checkpoint(folder, run, step, {"w": torch.full((3,), float(step))}, {"losses": [[step, 1.0, 2.0]]})


def newest_step(folder: Folder, run: str = RUN) -> int | None:
    found = newest_checkpoint(folder, run)
    if found is None:
        return None
    tensors, notes = found
    assert torch.equal(tensors["w"], torch.full((3,), float(notes["step"])))
    return int(notes["step"])


def test_the_newest_checkpoint_comes_back_and_two_are_kept(folder: Folder) -> None:
    save(folder, 900, 1000, 1100)
    assert newest_step(folder) == 1100
    assert [name for name in folder.names() if name.endswith(".json")] == [
        "checkpoint-aaaaaaaa-000001000.json",
        "checkpoint-aaaaaaaa-000001100.json",
    ]


def test_a_folder_without_checkpoints_gives_none(tmp_path: Path) -> None:
    assert newest_step(Disk(tmp_path / "not there")) is None


@pytest.mark.parametrize("damage", ["torn", "flipped", "no json", "bad json", "empty json", "no tensors"])
def test_a_damaged_newest_checkpoint_gives_way_to_the_older(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Disk(tmp_path)
    save(folder, 10, 20)
    tensors, notes = (
        tmp_path / "checkpoint-aaaaaaaa-000000020.safetensors",
        tmp_path / "checkpoint-aaaaaaaa-000000020.json",
    )
    data = tensors.read_bytes()
    match damage:
        case "torn":
            tensors.write_bytes(data[:-4])
        case "flipped":
            tensors.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        case "no json":
            notes.unlink()
        case "bad json":
            notes.write_text('{"step": 20')
        case "empty json":
            notes.write_text("[]")
        case "no tensors":
            tensors.unlink()
    assert newest_step(folder) == 10
    save(folder, 20)
    assert newest_step(folder) == 20


def test_checkpoints_of_another_run_are_not_used_and_do_not_push_out_ours(folder: Folder) -> None:
    save(folder, 500, 600, run="b" * 32)
    assert newest_step(folder) is None
    save(folder, 10, 20)
    assert newest_step(folder) == 20
    assert newest_step(folder, "b" * 32) == 600
    delete_checkpoints(folder)
    assert folder.names() == []


def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Disk(tmp_path)
    write_tensors(folder, "model", {"w": torch.ones(2)}, {"step": 1})

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_tensors(folder, "model", {"w": torch.zeros(2)}, {"step": 2})
    found = read_tensors(folder, "model")
    assert found is not None
    assert torch.equal(found[0]["w"], torch.ones(2))
    assert [path.name for path in sorted(tmp_path.glob("[!.]*"))] == ["model.json", "model.safetensors"]


def test_a_stream_that_ends_badly_leaves_the_old_file_and_nothing_else(folder: Folder, tmp_path: Path) -> None:
    folder.write("rows.csv", b"old")
    with pytest.raises(ValueError, match="no more"), folder.stream("rows.csv") as stream:
        stream.write(b"half")
        raise ValueError("no more")
    assert folder.read("rows.csv") == b"old"
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["rows.csv"]
    with folder.stream("rows.csv") as stream:
        stream.write(b"new")
    assert folder.read("rows.csv") == b"new"


def test_what_killed_processes_left_of_checkpoints_is_deleted_with_them(folder: Folder, tmp_path: Path) -> None:
    save(folder, 10)
    for name in (".checkpoint-aaaaaaaa-000000020.safetensors.4711", ".model.json.4711"):
        (tmp_path / "models" / name).write_bytes(b"half")
    delete_checkpoints(folder)
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".model.json.4711"]

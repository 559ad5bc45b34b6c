"""A folder of a run's files, on a disk or in an object store, where a file is there whole or not at all."""

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

from pyarrow import fs

from raresmith.signals import at_the_end

STORE_CURE = "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL, or give the machine a role"
"""What to do where an object store does not answer."""
_COLOURS = re.compile("\x1b\\[[0-9;]*m")


class Readable(Protocol):
    """Files by name, to be read."""

    def read(self, name: str) -> bytes:
        """The file's bytes; FileNotFoundError where there is none."""
        ...


class Folder(Readable, Protocol):
    """Files by name."""

    def write(self, name: str, data: bytes) -> None: ...

    def stream(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """To write a file too large to be held: it is there once the block has ended well."""
        ...

    def names(self) -> list[str]:
        """Names of the files, sorted."""
        ...

    def times(self, prefix: str) -> dict[str, float]:
        """By name when each file whose name begins so was written, in seconds by the clock of the file system."""
        ...

    def delete(self, name: str) -> None: ...

    def delete_all(self, prefix: str) -> None:
        """Delete the files whose names begin so, also those that were never finished."""
        ...


def open_folder(location: str) -> Folder:
    """The folder at `location`, a path or an s3:// or s3a:// URL (endpoint and keys from the AWS_ variables)."""
    return Bucket(location) if "://" in location else Disk(Path(location))


def in_a_line(error: Exception) -> str:
    """What a file system says, of which stores write a page: its first line, and of delta-rs's causes the last."""
    first, *more = [line.strip() for line in _COLOURS.sub("", str(error) or repr(error)).strip().splitlines()]
    causes = [line.removeprefix("↳").strip() for line in more if line.startswith("↳")]
    return f"{first}: {causes[-1]}" if causes else first


class Copied:
    """Files in memory, as a job sends them to its tasks: to be read only."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def read(self, name: str) -> bytes:
        return self._files[name]


class Disk:
    """Written aside, synchronised, renamed: a crash leaves the old file or the new one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, name: str, data: bytes) -> None:
        with self.stream(name) as file:
            file.write(data)

    @contextmanager
    def stream(self, name: str) -> Iterator[IO[bytes]]:
        self._path.mkdir(parents=True, exist_ok=True)
        aside = self._path / f".{name}.{os.getpid()}"
        with at_the_end(lambda: aside.unlink(missing_ok=True)):
            with aside.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            aside.rename(self._path / name)
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self, name: str) -> bytes:
        return (self._path / name).read_bytes()

    def names(self) -> list[str]:
        return sorted(path.name for path in self._path.glob("[!.]*") if path.is_file())

    def times(self, prefix: str) -> dict[str, float]:
        names = [name for name in self.names() if name.startswith(prefix)]
        return {name: (self._path / name).stat().st_mtime for name in names}

    def delete(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)

    def delete_all(self, prefix: str) -> None:
        for path in sorted(self._path.glob("*")):
            if path.is_file() and path.name.removeprefix(".").startswith(prefix):
                path.unlink(missing_ok=True)


class Bucket:
    """An object store: an object appears when it is whole.

    A streamed one is copied there from aside, which S3 does up to 5 GB.
    """

    def __init__(self, location: str) -> None:
        location = location.replace("s3a://", "s3://", 1)
        if location.startswith("s3://") and (endpoint := os.environ.get("AWS_ENDPOINT_URL")):
            scheme, _, host = endpoint.partition("://")
            self._files: fs.FileSystem = fs.S3FileSystem(
                endpoint_override=host, scheme=scheme, region=os.environ.get("AWS_REGION", "us-east-1")
            )
            self._path = location.removeprefix("s3://")
        else:
            self._files, self._path = fs.FileSystem.from_uri(location)

    def write(self, name: str, data: bytes) -> None:
        with self._files.open_output_stream(f"{self._path}/{name}") as stream:
            stream.write(data)

    @contextmanager
    def stream(self, name: str) -> Iterator[IO[bytes]]:
        # Whatever ends the block closes the stream, and that makes an object of what there is.
        aside = f".{name}.{uuid.uuid4()}"
        try:
            with self._files.open_output_stream(f"{self._path}/{aside}") as stream:
                yield stream
            self._files.move(f"{self._path}/{aside}", f"{self._path}/{name}")
        except BaseException:
            self.delete(aside)
            raise

    def read(self, name: str) -> bytes:
        with self._files.open_input_file(f"{self._path}/{name}") as stream:
            return bytes(stream.read())

    def names(self) -> list[str]:
        return [name for name in self._all_names() if not name.startswith(".")]

    def times(self, prefix: str) -> dict[str, float]:
        return {file.base_name: file.mtime_ns / 1e9 for file in self._all() if file.base_name.startswith(prefix)}

    def delete(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._files.delete_file(f"{self._path}/{name}")

    def delete_all(self, prefix: str) -> None:
        for name in self._all_names():
            if name.removeprefix(".").startswith(prefix):
                self.delete(name)

    def _all_names(self) -> list[str]:
        return sorted(file.base_name for file in self._all())

    def _all(self) -> list[fs.FileInfo]:
        selector = fs.FileSelector(self._path, allow_not_found=True)
        return [info for info in self._files.get_file_info(selector) if info.is_file]

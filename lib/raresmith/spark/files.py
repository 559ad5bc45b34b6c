"""The one door to Hadoop's file system: any folder or URL that Spark can reach, without a task."""

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from raresmith.spark.failures import causes


class File(NamedTuple):
    """One file."""

    path: str
    size: int
    """Bytes."""
    changed: int
    """Milliseconds since 1970."""


def _opened(spark: SparkSession, url: str) -> tuple[Any, Any]:
    """The file system that `url` is on, and its path there."""
    path = spark._jvm.org.apache.hadoop.fs.Path(url)  # type: ignore[union-attr]
    return path.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf()), path


def hadoop_path(spark: SparkSession, url: str) -> Any:
    """`url` as Hadoop's own value."""
    return _opened(spark, url)[1]


def exists(spark: SparkSession, url: str) -> bool:
    """Whether there is a file or folder at `url`, which may be a glob."""
    file_system, path = _opened(spark, url)
    found = file_system.globStatus(path)
    return found is not None and len(found) > 0


def holds_anything(spark: SparkSession, url: str) -> bool:
    """Whether there is a file, or a folder with something in it, at `url` as it stands."""
    file_system, path = _opened(spark, url)
    return bool(file_system.exists(path)) and len(file_system.listStatus(path)) > 0


def files_below(spark: SparkSession, url: str) -> list[File]:
    """All files at `url` and below it, by their paths; it may be a glob."""
    return sorted(_walk(spark, url))


def data_files(spark: SparkSession, url: str, *, empty: bool = False) -> list[File]:
    """The files of the table at `url`, which may be a glob: none that is hidden or in a hidden folder, nor one that is
    empty unless these are asked for."""
    found = []
    for file in files_below(spark, url):
        below = file.path.rpartition(url.rstrip("/"))[2] if not is_glob(url) else file.path.rpartition("/")[2]
        if (file.size or empty) and not any(_is_hidden(part) for part in below.split("/")):
            found.append(file)
    return found


def _is_hidden(name: str) -> bool:
    """Whether Spark passes over a file or folder of that name; one for a value of a partition it reads."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def is_glob(url: str) -> bool:
    """Whether `url` stands for all files that it matches."""
    return any(character in url for character in "*?[{")


def unescaped(url: str) -> str:
    """The place that Spark's `inputFiles` calls `url`: it writes spaces and the like as a URL does, Hadoop takes them
    as they are."""
    return unquote(url)


def size_up_to(spark: SparkSession, url: str, most: int) -> int | None:
    """Bytes of the files at `url`, which may be a glob, and below it; None where they are more than `most`.

    No more of them are listed than it takes to tell.
    """
    found = 0
    for file in _walk(spark, url):
        found += file.size
        if found > most:
            return None
    return found


def _walk(spark: SparkSession, url: str) -> Iterator[File]:
    file_system, path = _opened(spark, url)
    for root in file_system.globStatus(path) or ():
        walk = file_system.listFiles(root.getPath(), True)
        while walk.hasNext():
            file = walk.next()
            yield File(file.getPath().toString(), file.getLen(), file.getModificationTime())


def names_in(spark: SparkSession, url: str) -> list[str]:
    """Names of what lies directly in the folder at `url`, as it stands."""
    file_system, path = _opened(spark, url)
    return [found.getPath().getName() for found in file_system.listStatus(path)]


def lines_of(spark: SparkSession, url: str) -> Iterator[str]:
    """The lines of the text file at `url`; no more of it is read than is asked for."""
    jvm = spark._jvm
    assert jvm is not None
    file_system, path = _opened(spark, url)
    reader = jvm.java.io.BufferedReader(jvm.java.io.InputStreamReader(file_system.open(path), "UTF-8"))
    try:
        while (line := reader.readLine()) is not None:
            yield line
    finally:
        reader.close()


def beginning_of(spark: SparkSession, url: str, size: int) -> bytes:
    """The first `size` bytes of the file at `url`, decompressed where its name says that it is compressed."""
    jvm = spark._jvm
    assert jvm is not None
    file_system, path = _opened(spark, url)
    codec = jvm.org.apache.hadoop.io.compress.CompressionCodecFactory(file_system.getConf()).getCodec(path)
    stream = file_system.open(path)
    if codec is not None:
        stream = codec.createInputStream(stream)
    try:
        return bytes(stream.readNBytes(size))
    finally:
        stream.close()


def size_of(spark: SparkSession, url: str) -> int:
    """Bytes of the file at `url`."""
    file_system, path = _opened(spark, url)
    return int(file_system.getFileStatus(path).getLen())


def move_where_nothing_is(spark: SparkSession, source: str, target: str) -> bool:
    """Move the folder `source` to `target`, or delete it where something is there; whether it was moved."""
    jvm, gateway = spark._jvm, spark.sparkContext._gateway
    assert jvm is not None and gateway is not None
    file_system, path = _opened(spark, source)
    to = file_system.makeQualified(_opened(spark, target)[1])
    file_system.mkdirs(to.getParent())
    # Unlike a file system's own, this rename does not move the folder into another one.
    context = jvm.org.apache.hadoop.fs.FileContext.getFileContext(file_system.getUri(), file_system.getConf())
    options = gateway.new_array(getattr(jvm.org.apache.hadoop.fs, "Options$Rename"), 0)
    try:
        context.rename(file_system.makeQualified(path), to, options)
    except Py4JJavaError as error:
        if not any(causes(error, "org.apache.hadoop.fs.FileAlreadyExistsException")):
            raise
        file_system.delete(path, True)
        return False
    return True


class Folder:
    """The files of the folder at `url`, which is made by the first and goes with the last."""

    def __init__(self, spark: SparkSession, url: str) -> None:
        self._spark, self._url = spark, url
        self._made = False

    def write(self, name: str, data: bytes) -> None:
        """Write the file `name`, in place of one that is there."""
        file_system, path = _opened(self._spark, self._url)
        self._made = self._made or not file_system.exists(path)
        write_text(self._spark, f"{self._url}/{name}", data.decode())

    def read(self, name: str) -> bytes:
        """What the text file `name` says."""
        return "\n".join(lines_of(self._spark, f"{self._url}/{name}")).encode()

    def times(self, prefix: str) -> dict[str, float]:
        """By name when each file whose name begins so was written, in seconds by the clock of the file system."""
        return {name: status.getModificationTime() / 1000 for name, status in self._found(prefix)}

    def delete_all(self, prefix: str) -> None:
        """Delete the files whose names begin so, and the folder if there was none before."""
        file_system, path = _opened(self._spark, self._url)
        for _, status in self._found(prefix):
            file_system.delete(status.getPath(), False)
        if self._made and not self._found(""):
            file_system.delete(path, False)  # not what another process has put there since

    def _found(self, prefix: str) -> list[tuple[str, Any]]:
        file_system, path = _opened(self._spark, self._url)
        found = [(status.getPath().getName(), status) for status in file_system.listStatus(path)]
        return [(name, status) for name, status in found if name.startswith(prefix)]


def write_text(spark: SparkSession, url: str, text: str) -> None:
    """Write one file."""
    file_system, path = _opened(spark, url)
    stream = file_system.create(path, True)
    stream.write(bytearray(text.encode()))
    stream.close()

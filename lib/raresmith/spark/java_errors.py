"""What lies below an error that Spark raised."""

from collections.abc import Iterator

from py4j.java_gateway import JavaObject, is_instance_of
from py4j.protocol import Py4JJavaError
from pyspark import SparkContext


def causes(error: Exception, kind: str) -> Iterator[JavaObject]:
    """Those of the Java exceptions behind `error`, outermost first, that are of the class called `kind`."""
    cause = error.java_exception if isinstance(error, Py4JJavaError) else getattr(error, "_origin", None)
    while cause is not None:
        if is_instance_of(SparkContext._gateway, cause, kind):
            yield cause
        cause = cause.getCause()


_OF_STORAGE = (
    "java.nio.file.FileSystemException",
    "java.io.FileNotFoundException",  # also where permission is denied
    "org.apache.hadoop.fs.FSError",
    "org.apache.hadoop.fs.PathIOException",
    "org.apache.hadoop.fs.ParentNotDirectoryException",
    "org.apache.hadoop.security.AccessControlException",
)


def storage_failure(error: Exception) -> str | None:
    """What the first cause of `error` says, in a line, where it is of the disk or the bucket; else nothing."""
    for cause in reversed(list(causes(error, "java.io.IOException"))):
        name = cause.getClass().getName()
        # Those of its subclasses that are not named tell of connections, and of a Python that died.
        if name == "java.io.IOException" or any(is_instance_of(SparkContext._gateway, cause, k) for k in _OF_STORAGE):
            return str(cause.toString()).partition("\n")[0]
    return None

"""What stopped Spark, in a sentence with a remedy: Spark's own errors are pages of Java."""

import re
from collections.abc import Iterator

from py4j.java_gateway import JavaObject, is_instance_of
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark import SparkContext
from pyspark.errors import PySparkException

_OF_EXECUTORS = "spark.executor.memory and spark.executor.memoryOverhead, in spark.conf or for spark-submit"
_REMEDIES = {
    r"OutOfMemoryError: (?:Java heap|GC overhead|Requested array|Direct buffer)|SparkOutOfMemoryError|"
    r"UNABLE_TO_ACQUIRE_MEMORY": (
        f"Spark's Java ran out of memory; raise spark.driver_memory, on a cluster {_OF_EXECUTORS}"
    ),
    r"ExecutorLostFailure|Executor heartbeat timed out|exited? (?:with )?(?:code|status) 137": (
        "executors of Spark were lost, as mostly happens where they take more memory than they may; raise "
        f"{_OF_EXECUTORS}"
    ),
    r"bigger than spark\.driver\.maxResultSize": (
        "what came back from Spark's tasks is larger than spark.driver.maxResultSize; raise it in spark.conf"
    ),
    r"Cannot broadcast the table|Not enough memory to build and broadcast": (
        'a table is too large to be sent to all executors; set "spark.sql.autoBroadcastJoinThreshold" = "-1" in '
        "spark.conf, or raise spark.driver_memory"
    ),
    r"No module named '(?P<what>raresmith\b[^']*)'": (
        "Spark's executors have no {what}; give the package to spark-submit by --py-files, as deploy/spark-submit does"
    ),
    r"No module named '(?P<what>[^']*)'": (
        "the Python of Spark's executors has no {what}; install it there, or set PYSPARK_PYTHON to one that has it"
    ),
    r'Cannot run program "(?P<what>[^"]*)"': (
        "Spark cannot start {what} where its tasks run; set PYSPARK_PYTHON to a Python that is there on every node"
    ),
    r"PYTHON_VERSION_MISMATCH|Python in worker has different version": (
        "the Python of Spark's executors is of another version than the driver's; set PYSPARK_PYTHON to one like it"
    ),
    r"All masters are unresponsive|Failed to connect to master": (
        "no Spark master answers; see that spark.master is right and that it runs"
    ),
    r"DELTA_UNSUPPORTED_FEATURES?_FOR_(?:READ|WRITE).*?\] ?(?P<what>.*)": (
        "a Delta table has features that this version of Delta does not know: {what} Install a newer delta-spark, or "
        "drop them from the table"
    ),
    r"ClassNotFoundException: (?:io\.delta|org\.apache\.spark\.sql\.delta)|DATA_SOURCE_NOT_FOUND.*delta": (
        "Spark has no Delta; leave RARESMITH_DELTA_JARS unset to have its jars fetched, or let it name them"
    ),
    r"(?:CAST_INVALID_INPUT|CAST_OVERFLOW\w*|NUMERIC_VALUE_OUT_OF_RANGE[\w.]*|ARITHMETIC_OVERFLOW[\w.]*).*?\] ?"
    r"(?P<what>.*?)(?: (?:Use|Correct|If necessary)\b.*)?$": (
        "a value is not of the type that it is read as: {what} Name the right one for its column in source.schema"
    ),
    r"Could not reserve enough space|Invalid maximum heap size|exceeds the maximum representable size": (
        "Java cannot have as much memory as spark.driver_memory says; lower it"
    ),
    r"unresolved dependency: (?P<what>[^:\s]+)": (
        "Spark could not fetch {what}; give this machine the way to a Maven repository (spark.jars.ivySettings in "
        "spark.conf), or name jars that are here in RARESMITH_DELTA_JARS"
    ),
}
"""What there is to say by what a cause says, a regular expression; the first that is found counts."""

_OF_STORAGE = (
    "java.nio.file.FileSystemException",
    "java.io.FileNotFoundException",  # also where permission is denied
    "org.apache.hadoop.fs.FSError",
    "org.apache.hadoop.fs.PathIOException",
    "org.apache.hadoop.fs.ParentNotDirectoryException",
    "org.apache.hadoop.security.AccessControlException",
)


def causes(error: Exception, kind: str) -> Iterator[JavaObject]:
    """Those of the Java exceptions behind `error`, outermost first, that are of the class called `kind`."""
    cause = error.java_exception if isinstance(error, Py4JJavaError) else getattr(error, "_origin", None)
    while cause is not None:
        if is_instance_of(SparkContext._gateway, cause, kind):
            yield cause
        cause = cause.getCause()


def is_of_spark(error: Exception) -> bool:
    """Whether Spark or its Java raised `error`."""
    return isinstance(error, (PySparkException, Py4JError))


def remedy(error: Exception, log: str = "") -> str:
    """What `error`, one of Spark's, means and what to do; "" where there are no words for it.

    Parameters
    ----------
    log
        What Java wrote. It counts where Java ended before Spark began: later it tells of what was got over, too.
    """
    for text in (*_texts(error), log if "JAVA_GATEWAY_EXITED" in str(error) else ""):
        for said, told in _REMEDIES.items():
            if found := re.search(said, text, re.MULTILINE):
                return told.format(what=" ".join((found.groupdict().get("what") or "").split()))
    return ""


def storage_failure(error: Exception) -> str | None:
    """What the first cause of `error` says, in a line, where it is of the disk or the bucket; else nothing."""
    for cause in reversed(list(causes(error, "java.io.IOException"))):
        name = cause.getClass().getName()
        # Those of its subclasses that are not named tell of connections, and of a Python that died.
        if name == "java.io.IOException" or any(is_instance_of(SparkContext._gateway, cause, k) for k in _OF_STORAGE):
            return str(cause.toString()).partition("\n")[0]
    return None


def first_cause(error: Exception) -> str:
    """The first line of what lies deepest below `error`."""
    return next(_texts(error)).strip().partition("\n")[0]


def _texts(error: Exception) -> Iterator[str]:
    """What the causes of `error` say, the first cause first."""
    for cause in reversed(list(causes(error, "java.lang.Throwable"))):
        yield f"{_condition(cause)}{cause.toString()}"
    yield str(error)


def _condition(cause: JavaObject) -> str:
    """The name of the condition, before what is said of it; some classes of Spark do not say it themselves."""
    if not is_instance_of(SparkContext._gateway, cause, "org.apache.spark.SparkThrowable"):
        return ""
    name = cause.getCondition() or ""
    return "" if name in cause.toString() else f"[{name}] "

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

"""What Spark needs before it starts: Java, and Delta's jars. Told without pyspark."""

import os
import re
import shutil
import subprocess
from importlib.metadata import version

from raresmith.errors import ConfigError

JAVA_HINT = (
    "Install Java 17 (Debian and Ubuntu: apt-get install openjdk-17-jre-headless; macOS: brew install openjdk@17) "
    "and set JAVA_HOME or PATH to it."
)


def check_java() -> None:
    """Make sure that the Java that Spark will start is there and not too old.

    Raises
    ------
    ConfigError
        If there is no Java, or one that Spark 4 does not run on.
    """
    if fault := java_fault():
        raise ConfigError(f"{fault}. {JAVA_HINT}")


def java_fault() -> str:
    """What is wrong with the Java that Spark will start; "" where nothing is."""
    home = os.environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java")
    if java is None or not os.path.exists(java):  # noqa: PTH110
        return f"Spark needs Java 17 and found none{f' in JAVA_HOME={home}' if home else ''}"
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    match = re.search(r'version "(\d+)(?:\.(\d+))?', answer)
    major = int(match[1]) if match else 0
    return "" if major in (17, 21) else f"Spark needs Java 17 and found version {major or 'unknown'} at {java}"


def delta_package() -> str:
    """Maven coordinate of the Delta jar that fits the installed delta-spark and pyspark."""
    spark = ".".join(version("pyspark").split(".")[:2])
    return f"io.delta:delta-spark_{spark}_2.13:{version('delta-spark')}"


def iceberg_package() -> str:
    """Maven coordinate, but for the release, of the Iceberg jar that fits the installed pyspark."""
    return f"org.apache.iceberg:iceberg-spark-runtime-{'.'.join(version('pyspark').split('.')[:2])}_2.13"


# delta-spark asks for an older Hadoop client than the one that Spark brings.
EXCLUDED_PACKAGES = "org.apache.hadoop:hadoop-client-api,org.apache.hadoop:hadoop-client-runtime"

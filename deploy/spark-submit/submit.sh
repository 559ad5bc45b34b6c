#!/bin/sh
# One Spark stage on a cluster: deploy/spark-submit/submit.sh STAGE CONFIG [spark-submit option ...]
#
# SPARK_MASTER         master URL, such as spark://host:7077
# PYSPARK_PYTHON       Python of the driver and, at the same path, of every executor, with the libraries of
#                      raresmith[spark]; raresmith itself is shipped
# RARESMITH_PACKAGE    what deploy/package.sh made (default: dist/raresmith.zip)
# RARESMITH_DELTA_JARS jars of Delta that lie on every node, comma-separated local:/... (default: fetched from Maven)
# LOGICAL_DATE         the day the stage is run for, YYYY-MM-DD (default: none)
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
stage=$1 config=$2
shift 2
: "${SPARK_MASTER:?must name the master, such as spark://host:7077}"
: "${PYSPARK_PYTHON:?must name the Python with numpy, pandas, pyarrow, numba and annotated-types that every executor has}"
package=${RARESMITH_PACKAGE:-$root/dist/raresmith.zip}
if [ ! -f "$package" ]; then echo "there is no $package; make it with deploy/package.sh" >&2; exit 2; fi
if [ -n "${RARESMITH_DELTA_JARS:-}" ]; then
  set -- --jars "$RARESMITH_DELTA_JARS" "$@"
else
  delta=$(PYTHONPATH=$package "$PYSPARK_PYTHON" -c '
from raresmith.spark.session import EXCLUDED_PACKAGES, delta_package
print("--packages", delta_package(), "--exclude-packages", EXCLUDED_PACKAGES)')
  # shellcheck disable=SC2086 # four words
  set -- $delta "$@"
fi
exec spark-submit --master "$SPARK_MASTER" --driver-java-options -XX:-DontCompileHugeMethods --py-files "$package" "$@" \
  "$root/jobs/$stage.py" --config "$config" ${LOGICAL_DATE:+--logical-date "$LOGICAL_DATE"}

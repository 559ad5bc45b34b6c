#!/bin/sh
# Build the package to ship: deploy/package.sh [FOLDER] makes FOLDER/raresmith.zip and the wheel beside it
# (default: dist/). PYTHON names an interpreter with pip, setuptools and wheel (default: python3).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "${1:-$root/dist}"
out=$(cd "${1:-$root/dist}" && pwd)
# Built in a copy: setuptools keeps a build folder in the tree, and modules deleted since would come back out of it.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -R "$root/pyproject.toml" "$root/README.md" "$root/LICENSE" "$root/lib" "$copy"
rm -rf "$copy"/lib/*.egg-info
rm -f "$out"/raresmith-*.whl
"${PYTHON:-python3}" -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
  --wheel-dir "$out" "$copy"
# Spark puts .zip files on the Python path and leaves .whl files aside; a wheel is a zip of the package.
cp "$out"/raresmith-*.whl "$out/raresmith.zip"
echo "$out/raresmith.zip"

#!/bin/sh
# One sentence when the Java that Spark would start is missing or wrong; nothing when it is right.
if [ -n "$JAVA_HOME" ]; then java="$JAVA_HOME/bin/java"; else java=$(command -v java); fi
how="install Java 17 (Debian, Ubuntu: apt-get install openjdk-17-jre-headless; macOS: brew install openjdk@17) and set JAVA_HOME or PATH to it"
if [ -z "$java" ] || [ ! -x "$java" ]; then
  echo "raresmith needs Java 17 for Spark and found none: $how." >&2
  exit 1
fi
major=$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
case "$major" in
  17 | 21) ;;
  *)
    echo "raresmith needs Java 17 for Spark and found version ${major:-unknown} at $java: $how." >&2
    exit 1
    ;;
esac

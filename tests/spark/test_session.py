"""The settings of the session."""

from raresmith.spark.session import beside


def test_packages_of_the_configuration_are_added_to_deltas() -> None:
    delta = {"spark.jars.packages": "io.delta:delta-spark", "spark.sql.extensions": "Delta"}
    told = {"spark.jars.packages": "org.apache.iceberg:iceberg", "spark.speculation": "true"}
    assert beside(delta, told) == {
        "spark.jars.packages": "io.delta:delta-spark,org.apache.iceberg:iceberg",
        "spark.sql.extensions": "Delta",
        "spark.speculation": "true",
    }

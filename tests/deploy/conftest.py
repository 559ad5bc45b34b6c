"""The cluster, the Airflow and the run that the tests of this folder share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.deploy.airflow_cli import Airflow
from tests.deploy.standalone import Cluster


@pytest.fixture(scope="session")
def cluster(delta_jars: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), ",".join(f"local:{jar}" for jar in delta_jars))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def airflow(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    """An Airflow whose Spark is the cluster."""
    return Airflow(tmp_path_factory.mktemp("airflow"), cluster)


@pytest.fixture(scope="session")
def finished(cluster: Cluster, airflow: Airflow) -> Path:
    """The configuration of a run that went through undisturbed: all that the DAG does in a day."""
    # The recipe fetches Delta's jars here, and nowhere else in the tests.
    cluster.submit("simulate", airflow.config, RARESMITH_DELTA_JARS="").finish()
    airflow.run_dag()
    return airflow.config

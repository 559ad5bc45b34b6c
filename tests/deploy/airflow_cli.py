"""A real Airflow, which lives in .venv-airflow (`make test` sets it up)."""

import json
import subprocess
from pathlib import Path

import pytest
from tests.deploy.small_run import DAY, write_config
from tests.deploy.standalone import ROOT, Cluster

VENV = ROOT / ".venv-airflow"


class Airflow:
    """The command line of an Airflow whose home is `folder`, and whose Spark is `cluster`."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        if not (VENV / ".ready").exists():
            pytest.fail(f"there is no Airflow in {VENV}; `make test` sets it up")
        self.folder = folder
        home = folder / "raresmith"
        home.mkdir()
        for name in ("jobs", "deploy"):
            (home / name).symlink_to(ROOT / name)
        (home / "dist").symlink_to(cluster.package.parent)
        self.config = write_config(folder / "run")
        # What the recipes are told by the environment the DAG must say itself.
        inherited = {k: v for k, v in cluster.environment.items() if not k.startswith(("AIRFLOW", "PY", "RARESMITH"))}
        self.environment = {
            **inherited,
            "PATH": f"{VENV / 'bin'}:{inherited['PATH']}",
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "deploy" / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW_CONN_RARESMITH_SPARK": json.dumps({"conn_type": "spark", "host": cluster.url}),
            "AIRFLOW_VAR_RARESMITH_HOME": str(home),
            "AIRFLOW_VAR_RARESMITH_CONFIG": str(self.config),
            "AIRFLOW_VAR_RARESMITH_PYTHON": str(cluster.python),
            "AIRFLOW_VAR_RARESMITH_TRAINER": str(cluster.python),
        }
        self("airflow", "db", "migrate")
        self("airflow", "dags", "reserialize")

    def __call__(self, program: str, *arguments: str, **environment: str) -> str:
        """What `program` of Airflow's environment prints; it must end well."""
        done = subprocess.run(
            [VENV / "bin" / program, *arguments],
            env={**self.environment, **environment},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1800,
        )
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout

    def run_dag(self) -> str:
        """The log of a whole run of the day."""
        return self("airflow", "dags", "test", "raresmith", DAY)

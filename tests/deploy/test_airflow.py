"""The DAG in a real Airflow, which lives in .venv-airflow (`make test` sets it up)."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pyspark
import pytest
from tests.cluster.standalone import ROOT, SHORT_LIVED, python_without_raresmith
from tests.deploy.small_run import noted_stages, versions, write_config

from raresmith.spark.session import EXCLUDED_PACKAGES, delta_package

VENV = ROOT / ".venv-airflow"
DAY = "2025-03-01"

DESCRIBE = """
import json
from raresmith_dag import DELTA, EXCLUDED, dag
print("described:", json.dumps({
    "packages": [DELTA, EXCLUDED],
    "assets": {t.task_id: [outlet.name for outlet in t.outlets] for t in dag.topological_sort()},
    "operators": {t.task_id: type(t).__name__ for t in dag.tasks},
}))
"""


class Airflow:
    """The command line of an Airflow whose home is `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        python = python_without_raresmith(folder / "python")
        home = folder / "raresmith"
        home.mkdir()
        for name in ("jobs", "deploy"):
            (home / name).symlink_to(ROOT / name)
        built = {**os.environ, "PYTHON": sys.executable}
        subprocess.run([ROOT / "deploy" / "package.sh", home / "dist"], env=built, check=True)
        spark_home = Path(pyspark.__file__).parent
        (folder / "conf").mkdir()
        (folder / "conf" / "spark-defaults.conf").write_text(SHORT_LIVED)
        self.config = write_config(folder / "run")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "PYTHON", "PYSPARK"))}
        self.environment = {
            **inherited,
            "PATH": f"{VENV / 'bin'}:{spark_home / 'bin'}:{os.environ['PATH']}",
            "SPARK_HOME": str(spark_home),
            "SPARK_CONF_DIR": str(folder / "conf"),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "deploy" / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW_CONN_RARESMITH_SPARK": json.dumps({"conn_type": "spark", "host": "local[2]"}),
            "AIRFLOW_VAR_RARESMITH_HOME": str(home),
            "AIRFLOW_VAR_RARESMITH_CONFIG": str(self.config),
            "AIRFLOW_VAR_RARESMITH_PYTHON": str(python),
            "AIRFLOW_VAR_RARESMITH_TRAINER": str(python),
        }

    def __call__(self, program: str, *arguments: str) -> str:
        """What `program` of Airflow's environment prints; it must end well."""
        done = subprocess.run(
            [VENV / "bin" / program, *arguments],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1800,
        )
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    if not (VENV / ".ready").exists():
        pytest.fail(f"there is no Airflow in {VENV}; `make test` sets it up")
    airflow = Airflow(tmp_path_factory.mktemp("airflow"))
    airflow("airflow", "db", "migrate")
    airflow("airflow", "dags", "reserialize")
    return airflow


def test_the_dag_imports_and_has_an_asset_for_each_table(airflow: Airflow) -> None:
    errors = airflow("airflow", "dags", "list-import-errors", "--output", "json")
    assert "raresmith" not in errors, errors
    airflow.environment["PYTHONPATH"] = str(ROOT / "deploy" / "airflow")
    out = airflow("python", "-c", DESCRIBE)
    del airflow.environment["PYTHONPATH"]
    found = json.loads(out.split("described: ")[1].splitlines()[0])
    assert found["assets"] == {
        "prepare": ["raresmith.features", "raresmith.quarantine", "raresmith.encoder"],
        "oversample": ["raresmith.synthetic"],
        "refine": ["raresmith.refined"],
        "evaluate": ["raresmith.metrics"],
        "publish": ["raresmith.augmented", "raresmith.runs"],
    }
    assert {task for task, kind in found["operators"].items() if kind == "SparkSubmitOperator"} == {
        "prepare",
        "oversample",
        "evaluate",
        "publish",
    }
    assert found["packages"] == [delta_package(), EXCLUDED_PACKAGES]


def test_a_run_makes_every_table_and_a_second_of_the_same_date_changes_none(airflow: Airflow) -> None:
    simulated = [Path(sysconfig.get_path("scripts")) / "raresmith", "simulate", airflow.config]
    subprocess.run(simulated, check=True, cwd=airflow.folder)
    airflow("airflow", "dags", "test", "raresmith", DAY)
    warehouse = airflow.config.parent / "warehouse"
    noted, made = noted_stages(warehouse), versions(warehouse)
    assert {stage: row["run_id"] for stage, row in noted.items()} == dict.fromkeys(
        ("prepare", "oversample", "refine", "evaluate", "publish"), f"small-{DAY}"
    )
    again = airflow("airflow", "dags", "test", "raresmith", DAY)
    assert again.count("nothing changed") == 5
    assert versions(warehouse) == made
    assert noted_stages(warehouse) == noted

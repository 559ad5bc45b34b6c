"""The DAG in a real Airflow, on a real standalone cluster."""

import json
from pathlib import Path

from tests.deploy.airflow_cli import Airflow
from tests.deploy.small_run import DAY, noted_stages, versions
from tests.deploy.standalone import ROOT

from raresmith.spark.needs import EXCLUDED_PACKAGES, delta_package

DESCRIBE = """
import json
from raresmith_dag import DELTA, EXCLUDED, dag
print("described:", json.dumps({
    "packages": [DELTA, EXCLUDED],
    "assets": {t.task_id: [outlet.name for outlet in t.outlets] for t in dag.topological_sort()},
    "operators": {t.task_id: type(t).__name__ for t in dag.tasks},
}))
"""


def test_the_dag_imports_and_has_an_asset_for_each_table(airflow: Airflow) -> None:
    errors = airflow("airflow", "dags", "list-import-errors", "--output", "json")
    assert "raresmith" not in errors, errors
    out = airflow("python", "-c", DESCRIBE, PYTHONPATH=str(ROOT / "deploy" / "airflow"))
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


def test_a_run_makes_every_table_and_a_second_of_the_same_date_changes_none(airflow: Airflow, finished: Path) -> None:
    warehouse = finished.parent / "warehouse"
    noted, made = noted_stages(warehouse), versions(warehouse)
    assert {stage: row["run_id"] for stage, row in noted.items()} == dict.fromkeys(
        ("prepare", "oversample", "refine", "evaluate", "publish"), f"small-{DAY}"
    )
    assert airflow.run_dag().count("nothing changed") == 5
    assert versions(warehouse) == made
    assert noted_stages(warehouse) == noted

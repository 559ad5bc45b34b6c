"""The main job every day: the Spark stages by spark-submit, the trainer by torchrun, an asset for each table.

Airflow variables (in the user interface, or as AIRFLOW_VAR_<NAME> in the environment of the workers):

raresmith_home      checkout of the project on the workers, with dist/raresmith.zip from deploy/package.sh
raresmith_config    the TOML file that describes the run, readable on the workers
raresmith_python    Python of the workers and the Spark executors, with the libraries of raresmith[spark]
raresmith_trainer   Python with the libraries of raresmith[train], where the trainer runs
raresmith_torchrun  options of torchrun; the default is two processes on the worker

The connection raresmith_spark names the master; spark-submit must be on the workers' PATH.
"""

from datetime import datetime, timedelta

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset, Param

# Runs that an asset or a person starts may have no logical date. They have the time at which they were due, and keep
# it over every retry, so the day is never the clock's.
DATE = "{{ (dag_run.logical_date or dag_run.run_after) | ds }}"
HOME = "{{ var.value.raresmith_home }}"
CONFIG = "{{ params.config or var.value.raresmith_config }}"
PACKAGE = f"{HOME}/dist/raresmith.zip"
# The same as in requirements.lock, which a scheduler cannot read; a test keeps them equal.
DELTA = "io.delta:delta-spark_4.2_2.13:4.4.0"
EXCLUDED = "org.apache.hadoop:hadoop-client-api,org.apache.hadoop:hadoop-client-runtime"


def asset(table: str) -> Asset:
    """The asset of one table of the warehouse; where the warehouse lies is the configuration's business."""
    return Asset(name=f"raresmith.{table}", uri=f"raresmith://{table}")


def spark_stage(stage: str, *tables: str) -> SparkSubmitOperator:
    """The task that runs jobs/<stage>.py and writes `tables`."""
    return SparkSubmitOperator(
        task_id=stage,
        conn_id="raresmith_spark",
        name=f"raresmith {stage}",
        application=f"{HOME}/jobs/{stage}.py",
        application_args=["--config", CONFIG, "--logical-date", DATE],
        py_files=PACKAGE,
        packages=DELTA,
        exclude_packages=EXCLUDED,
        conf={"spark.pyspark.python": "{{ var.value.raresmith_python }}"},
        outlets=[asset(table) for table in tables],
    )


with DAG(
    dag_id="raresmith",
    description="More rows of a rare class, and the proof of whether they help",
    doc_md=__doc__,
    schedule="@daily",
    start_date=datetime(2025, 1, 1),
    catchup=False,
    # All runs write the same warehouse.
    max_active_runs=1,
    # A stage that is done does nothing again, and one that was cut short left no half table: any task may be repeated.
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={
        "config": Param(None, type=["null", "string"], description="Another configuration than raresmith_config"),
    },
    tags=["raresmith"],
) as dag:
    prepare = spark_stage("prepare", "features", "quarantine", "encoder")
    oversample = spark_stage("oversample", "synthetic")
    refine = BashOperator(
        task_id="refine",
        # By way of the environment: what someone types into `config` must not become a command.
        bash_command='exec "$RARESMITH_HOME/deploy/torchrun/refine.sh" "$RARESMITH_CONFIG" $RARESMITH_TORCHRUN',
        env={
            "RARESMITH_HOME": HOME,
            "RARESMITH_CONFIG": CONFIG,
            "RARESMITH_TORCHRUN": "{{ var.value.get('raresmith_torchrun', '') }}",
            "RARESMITH_PACKAGE": PACKAGE,
            "LOGICAL_DATE": DATE,
            "PYTHON": "{{ var.value.raresmith_trainer }}",
        },
        append_env=True,
        outlets=[asset("refined")],
    )
    evaluate = spark_stage("evaluate", "metrics")
    # Every stage notes itself in `runs`; with the last one the run is whole.
    publish = spark_stage("publish", "augmented", "runs")
    prepare >> oversample >> refine >> evaluate >> publish

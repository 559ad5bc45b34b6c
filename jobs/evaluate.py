"""Judge on the test rows what the made rows do to a random forest: metrics, report.

spark-submit --py-files raresmith.zip jobs/evaluate.py --config conf/handbook.toml
"""

from raresmith.spark.jobs import run_job
from raresmith.spark.stages.evaluate import evaluate_stage

if __name__ == "__main__":
    run_job("evaluate", evaluate_stage)

"""Check, split and encode the raw table: features, quarantine, encoder.

spark-submit --py-files raresmith.zip jobs/prepare.py --config conf/handbook.toml
"""

from raresmith.spark.jobs import run_job
from raresmith.spark.stages.prepare import prepare_stage

if __name__ == "__main__":
    run_job("prepare", prepare_stage)

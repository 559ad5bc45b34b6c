"""Make SMOTE rows from the minority rows of the train split: synthetic.

spark-submit --py-files raresmith.zip jobs/oversample.py --config conf/handbook.toml
"""

from raresmith.spark.jobs import run_job
from raresmith.spark.stages.oversample import oversample_stage

if __name__ == "__main__":
    run_job("oversample", oversample_stage)

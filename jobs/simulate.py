"""Make the raw table of [simulate], unless it is there.

spark-submit --py-files raresmith.zip jobs/simulate.py --config conf/handbook.toml
"""

from raresmith.spark.jobs import run_job
from raresmith.spark.stages.simulate import simulate_stage

if __name__ == "__main__":
    run_job("simulate", simulate_stage)

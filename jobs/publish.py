"""Write original and made rows in the raw schema: augmented.

spark-submit --py-files raresmith.zip jobs/publish.py --config conf/handbook.toml
"""

from raresmith.spark.jobs import run_job
from raresmith.spark.stages.publish import publish_stage

if __name__ == "__main__":
    run_job("publish", publish_stage)

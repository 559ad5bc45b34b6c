"""The so-manieth least hash of a table: exact counts of rows chosen by hash, without sorting them."""

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

_BUCKET_BITS = 16


def hash_of_rank(hashes: DataFrame, rank: int) -> int:
    """The value that `rank` rows of the bigint column "hash" do not exceed; below all where `rank` is 0.

    Costs two jobs, of which at most 2^16 counts and the hashes of one count come to the driver.
    """
    if rank == 0:
        return -(2**63)
    bucket = F.shiftright("hash", 64 - _BUCKET_BITS)
    counted = hashes.groupBy(bucket.alias("bucket")).count().orderBy("bucket").toArrow()
    ends = np.cumsum(counted.column("count").to_numpy())
    place = int(np.searchsorted(ends, rank))
    before = int(ends[place - 1]) if place else 0
    inside = hashes.where(bucket == int(counted.column("bucket")[place].as_py())).toArrow()
    return int(np.sort(inside.column(0).to_numpy())[rank - before - 1])

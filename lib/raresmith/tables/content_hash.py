"""`runs.content_hash`: whether two tables hold the same rows, whatever their order.

The sum of a 64-bit hash of each row, and the number of rows. The engines hash a row in ways of their own: Spark by
xxhash64 over all columns but run_id (`raresmith.spark.tables`), the trainer by Philox bits over the numbers alone
(`raresmith.gan.data.hashes`). So it tells about two runs of one stage, and nothing about tables of two engines.
"""


def digest(total: int, rows: int) -> str:
    """The hash of `rows` rows whose own hashes add up to `total`."""
    # A sum, not an exclusive or: two equal rows must not cancel.
    return f"{total % 2**64:016x}-{rows}"


def rows_of(digest: str) -> int:
    """How many rows were hashed."""
    return int(digest.rpartition("-")[2])

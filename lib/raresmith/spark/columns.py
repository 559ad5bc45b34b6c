"""Names of the columns that travel beside the raw ones until the feature tables are written.

Two underscores, because a raw table may have a column `label`, `split` or `row_id` of its own.
"""

ROW_ID = "__row_id"
LABEL = "__label"
SPLIT = "__split"
REASON = "__reason"
COMPLETE = "__complete"
"""Whether a row has a value in every column that counts, and none is out of range: most have, and one look tells."""
BASE = "__base_"
"""Before a raw column's name: the value that a made row's base row has."""

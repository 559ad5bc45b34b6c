"""Features that by themselves tell the class that is looked for, as only what was noted afterwards does."""

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from raresmith.encoding.encoder import Encoder
from raresmith.evaluation.single_column import LEAK, area_of_categories, area_of_numbers
from raresmith.spark.columns import col

_POSITIVE, _OTHERS = 2_000, 8_000
"""Rows that are looked at, drawn by a hash of the row."""
_VALUES = 1_000_000
"""That are looked at in all, of wide tables' fewer rows."""


def leaks(features: DataFrame, encoder: Encoder, n_rows: int) -> dict[str, float]:
    """By feature the area under the ROC curve by which it alone tells the positive class from all others on some of the
    train rows of the table `features`, of `n_rows` rows, where that is above LEAK."""
    positive = encoder.label.classes.index(encoder.label.positive)
    by_hash, share = F.xxhash64("row_id"), min(1.0, _VALUES / (_POSITIVE + _OTHERS) / len(encoder.names))
    # Each task would send as many of the others as are wanted in all; of a large table some are enough.
    few = by_hash < F.lit(int(2**64 * min(1.0, 8 * share * _OTHERS / max(1, n_rows))) - 2**63 - 1)
    train, of_class = features.where("split = 'train'"), col("label") == positive
    parts = ((of_class, int(share * _POSITIVE)), (~of_class & few, int(share * _OTHERS)))
    # The last hash of each part first: a query on all columns of a wide table is planned once then.
    lasts = [train.where(which).select(by_hash.alias("h")).orderBy("h").limit(rows) for which, rows in parts]
    last = [part.agg(F.max("h").alias("h"), F.lit(place).alias("place")) for place, part in enumerate(lasts)]
    found_last = {row["place"]: row["h"] for row in last[0].unionAll(last[1]).collect()}
    drawn = [which & (by_hash <= F.lit(found_last[place])) for place, (which, _) in enumerate(parts)]
    found = train.where(drawn[0] | drawn[1]).toArrow()
    is_positive = found["label"].to_numpy() == positive
    areas = {}
    for feature in encoder.features:
        values = found[feature.name].to_numpy()
        if feature.kind == "categorical":
            areas[feature.name] = area_of_categories(values.astype(np.int64), is_positive)
        else:
            areas[feature.name] = area_of_numbers(values.astype(np.float64), is_positive)
    return {name: area for name, area in areas.items() if area > LEAK}


def leak_words(areas: dict[str, float], positive: str) -> list[str]:
    """A sentence for each."""
    return [
        f"leak? {name} tells class {positive} from all others by itself, with an area under the ROC curve of "
        f"{area:.3f}; if it is not known before the label, name its column in source.ignore"
        for name, area in areas.items()
    ]

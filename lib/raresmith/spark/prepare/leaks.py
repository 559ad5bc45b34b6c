"""Features that by themselves tell the class that is looked for, as only what was noted afterwards does."""

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from raresmith.encoding.encoder import Encoder
from raresmith.evaluation.single_column import LEAK, area_of_categories, area_of_numbers
from raresmith.spark.columns import col

_POSITIVE, _OTHERS = 2_000, 8_000
"""Rows that are looked at, drawn by a hash of the row."""
_VALUES = 4_000_000
"""That are looked at in all, of wide tables' fewer rows."""


def leaks(features: DataFrame, encoder: Encoder, n_rows: int) -> dict[str, float]:
    """By feature the area under the ROC curve by which it alone tells the positive class from all others on some of the
    train rows of the table `features`, of `n_rows` rows, where that is above LEAK."""
    positive = encoder.label.classes.index(encoder.label.positive)
    by_hash, share = F.xxhash64("row_id"), min(1.0, _VALUES / (_POSITIVE + _OTHERS) / len(encoder.names))
    n_positive, n_others = int(share * _POSITIVE), int(share * _OTHERS)
    # Each task would send as many of the others as are wanted in all; of a large table some are enough.
    few = by_hash < F.lit(int(2**64 * min(1.0, 8 * n_others / max(1, n_rows))) - 2**63 - 1)
    train = features.where("split = 'train'")
    of_class = col("label") == positive
    columns = [of_class.alias("is_positive"), *map(col, encoder.names)]
    parts = [
        train.where(of_class).orderBy(by_hash).limit(n_positive).select(columns),
        train.where(~of_class & few).orderBy(by_hash).limit(n_others).select(columns),
    ]
    found = parts[0].unionAll(parts[1]).toArrow()
    is_positive = found["is_positive"].to_numpy().astype(bool)
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

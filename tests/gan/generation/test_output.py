"""A place that rows cannot be written to is refused before any is made."""

import pyarrow as pa
import pytest

from raresmith.errors import DataError
from raresmith.gan.generation.output import check_output


def test_a_delta_table_is_refused_where_a_field_within_a_column_has_a_name_that_it_cannot_hold() -> None:
    schema = pa.schema([("fine", pa.int8()), ("odd", pa.list_(pa.struct([("a b", pa.int32())])))])
    check_output("rows.parquet", schema)
    with pytest.raises(DataError, match=r"cannot have the columns \['a b'\]"):
        check_output("rows", schema)

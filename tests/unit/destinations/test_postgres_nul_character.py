import pyarrow as pa
import pytest

from kitestring.destinations.postgres.nul_character import without_nul


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string()])
def test_nul_is_found_in_the_rows_of_a_slice_alone(type_):
    texts = pa.table({"t": pa.array(["a\0", "b", None, "", "c\0d", "e"], type_)})
    assert without_nul(texts.slice(1, 3)).equals(texts.slice(1, 3))
    assert without_nul(texts.slice(1))["t"].to_pylist() == ["b", None, "", "c\ufffdd", "e"]
    assert without_nul(texts.slice(0, 0)).num_rows == 0

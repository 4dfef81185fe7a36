"""The columns that go to Milvus Lite are the request that pymilvus makes of the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymilvus import DataType
from pymilvus.client.prepare import Prepare
from pymilvus.grpc_gen.milvus_pb2 import InsertRequest

from kitestring.destinations.milvus.layout import Field, Layout
from kitestring.destinations.milvus.rows import RowBuilder
from kitestring.destinations.milvus.sending import ColumnSender, can_send_by_column, varint
from kitestring.vector.store import Chunk

DIMENSION = 40
KINDS = ["BOOL", "INT8", "INT16", "INT32", "INT64", "FLOAT", "DOUBLE", "VARCHAR", "JSON", "ARRAY"]
COLUMNS = {
    f"{kind.lower()}_{how}": Field(
        f"{kind.lower()}_{how}",
        kind,
        3 if kind == "ARRAY" else 20,
        element="INT64" if kind == "ARRAY" else "",
        nullable=how == "nullable",
        default=how == "default",
    )
    for kind in KINDS
    for how in ("required", "nullable", "default")
}


def layout(fields: dict[str, Field], text: str | None, dynamic: bool, auto_id: bool) -> Layout:
    return Layout(
        "things", Field("id", "VARCHAR", 64), auto_id, Field("vector", "FLOAT_VECTOR", dimension=DIMENSION), text,
        fields, dynamic, "L2", None,
    )  # fmt: skip


def by_pymilvus(layout: Layout, chunks: list[Chunk], text: bool) -> InsertRequest:
    infos: list[dict[str, Any]] = [
        {
            "name": field.name,
            "type": DataType[field.type],
            "params": {"dim": field.dimension}
            if field.dimension
            else {"max_length": 65_535, "max_capacity": field.max_length},
            "nullable": field.nullable,
            "default_value": "some" if field.default else None,
            "element_type": DataType[field.element] if field.element else None,
            "is_primary": field is layout.primary,
            "auto_id": field is layout.primary and layout.auto_id,
        }
        for field in (layout.primary, layout.vector, *layout.fields.values())
    ]
    rows = RowBuilder(layout, text, lite=True)
    insert: InsertRequest = Prepare.row_insert_param(
        "things", [rows.build(chunk) for chunk in chunks], "", infos, [], enable_dynamic=layout.dynamic
    )
    return insert


def by_column(layout: Layout, chunks: list[Chunk], text: bool) -> InsertRequest:
    sender = ColumnSender(layout, text, "", "127.0.0.1:1")
    try:
        return sender.request(chunks)
    finally:
        sender.close()


def comparable(request: InsertRequest) -> dict[str, Any]:
    results: dict[str, Any] = {"collection": request.collection_name, "rows": request.num_rows}
    for data in request.fields_data:
        if data.is_dynamic:
            data.scalars.json_data.data[:] = [
                orjson.dumps(orjson.loads(item), option=orjson.OPT_SORT_KEYS) for item in data.scalars.json_data.data
            ]
        results[data.field_name] = data.SerializeToString(deterministic=True)
    return results


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=30), st.just('{"a": [1]}')
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
CHUNKS = st.lists(
    st.builds(
        Chunk,
        key=st.text("abcdef0123456789", min_size=32, max_size=32),
        number=st.integers(0, 3),
        stream=st.just("things"),
        record_id=st.text(max_size=5),
        text=st.text(max_size=50),
        vector=st.integers(0, 2**32).map(lambda n: np.random.default_rng(n).normal(size=DIMENSION).astype(np.float32)),
        digest=st.just("d"),
        metadata_digest=st.just("m"),
        metadata=st.dictionaries(st.sampled_from([*COLUMNS, "id", "text", "other", "$meta", ""]), VALUES, max_size=8),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(CHUNKS, st.sets(st.sampled_from(sorted(COLUMNS))), st.booleans(), st.booleans(), st.booleans(), st.booleans())
@pytest.mark.slow
def test_the_request_is_the_one_that_pymilvus_makes(
    chunks: list[Chunk], names: set[str], typed_text: bool, dynamic: bool, auto_id: bool, store_text: bool
) -> None:
    fields = {name: COLUMNS[name] for name in sorted(names)}
    if typed_text:
        fields["text"] = Field("text", "VARCHAR", 30)
    single_layout = layout(fields, "text" if typed_text or dynamic else None, dynamic, auto_id)
    assert all(map(can_send_by_column, fields.values()))
    assert comparable(by_column(single_layout, chunks, store_text)) == comparable(
        by_pymilvus(single_layout, chunks, store_text)
    )


def test_vectors_arrive_bit_by_bit_whatever_their_memory_looks_like() -> None:
    values = np.array([[0.1, -0.0, np.inf, 1e-40] * 10, range(40)], dtype=np.float32)
    many = np.asfortranarray(values)
    chunks = [Chunk("k" * 32, n, "things", "1", "", vector, "d", "m") for n, vector in enumerate(many)]
    request = by_column(layout({}, None, True, False), chunks, False)
    (data,) = (item for item in request.fields_data if item.field_name == "vector")
    assert np.array_equal(np.array(data.vectors.float_vector.data, dtype=np.float32), values.ravel())
    assert data.vectors.dim == DIMENSION


def test_a_vector_of_another_dimension_is_never_sent() -> None:
    chunk = Chunk("k" * 32, 0, "things", "1", "", np.zeros(DIMENSION // 2, np.float32), "d", "m")
    with pytest.raises(ValueError, match="20 dimensions"):
        by_column(layout({}, None, True, False), [chunk, chunk], False)


def test_columns_of_other_types_are_left_to_pymilvus() -> None:
    assert not can_send_by_column(Field("place", "GEOMETRY"))
    assert not can_send_by_column(Field("other", "FLOAT_VECTOR", dimension=2))
    assert not can_send_by_column(Field("vectors", "ARRAY", element="FLOAT_VECTOR"))


@pytest.mark.parametrize(("number", "expected"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")])
def test_lengths_are_written_as_protobuf_does(number: int, expected: bytes) -> None:
    assert varint(number) == expected

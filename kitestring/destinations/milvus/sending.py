"""Senders of chunks: row by row through pymilvus, or by columns to Milvus Lite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kitestring.destinations.milvus.layout import Field, Layout
from kitestring.destinations.milvus.rows import RowBuilder
from kitestring.json_codec import dumps
from kitestring.vector.store import Chunk

if TYPE_CHECKING:
    from pymilvus import MilvusClient
    from pymilvus.grpc_gen.milvus_pb2 import InsertRequest
    from pymilvus.grpc_gen.schema_pb2 import FieldData

# The part of a ScalarField that holds the values of a type:
# https://github.com/milvus-io/milvus-proto/blob/master/proto/schema.proto
SLOTS = {
    "BOOL": "bool_data",
    "INT8": "int_data",
    "INT16": "int_data",
    "INT32": "int_data",
    "INT64": "long_data",
    "FLOAT": "float_data",
    "DOUBLE": "double_data",
    "VARCHAR": "string_data",
}
DYNAMIC = "$meta"


def can_send_by_column(field: Field) -> bool:
    """Whether `ColumnSender` can send a column of this type."""
    return field.element in SLOTS if field.type == "ARRAY" else field.type in (*SLOTS, "JSON")


class RowSender:
    """Sends rows with pymilvus, which checks and packs each value."""

    def __init__(self, layout: Layout, text: bool, client: MilvusClient, lite: bool, timeout: float | None) -> None:
        self.collection = layout.collection
        self.timeout = timeout
        self.rows = RowBuilder(layout, text, lite)
        # Lite's upsert keeps dynamic fields that the new row lacks, its insert replaces the whole row. A server's
        # upsert replaces, its insert adds a second row.
        self.write = client.insert if lite or layout.auto_id else client.upsert

    def send(self, chunks: Sequence[Chunk]) -> int | None:
        """Store these chunks. Returns how many rows the server stored, None if it does not tell."""
        response = self.write(self.collection, [self.rows.build(chunk) for chunk in chunks], timeout=self.timeout)
        count = response.get("insert_count", response.get("upsert_count"))
        return None if count is None else int(count)

    def close(self) -> None:
        """Nothing to close: the client belongs to the store."""


class ColumnSender:
    """Sends columns to the Lite server of this process, with vectors copied from memory.

    Server and client share one interpreter, and pymilvus packs each float: about 5,000 rows of 1,536 dimensions a
    second, this 30,000. The request is that of `MilvusClient.insert`.
    """

    def __init__(self, layout: Layout, text: bool, database: str, address: str) -> None:
        import grpc
        from pymilvus.grpc_gen.milvus_pb2_grpc import MilvusServiceStub

        self.layout = layout
        self.database = database
        self.rows = RowBuilder(layout, text, lite=True)
        self.channel = grpc.insecure_channel(
            address,
            options=[("grpc.max_send_message_length", -1), ("grpc.enable_http_proxy", 0)],
        )
        self.stub = MilvusServiceStub(self.channel)

    def send(self, chunks: Sequence[Chunk]) -> int:
        """Store these chunks. Returns how many rows the server stored; `MilvusException` if it refuses."""
        from pymilvus.client.utils import check_status

        response = self.stub.Insert(self.request(chunks))
        check_status(response.status)
        return int(response.insert_cnt)

    def request(self, chunks: Sequence[Chunk]) -> InsertRequest:
        from pymilvus import DataType
        from pymilvus.grpc_gen.milvus_pb2 import InsertRequest
        from pymilvus.grpc_gen.schema_pb2 import FieldData

        layout = self.layout
        request = InsertRequest(db_name=self.database, collection_name=layout.collection, num_rows=len(chunks))
        rows, dynamic = zip(*map(self.rows.parts, chunks), strict=True)
        for field in (*layout.fields.values(), *(() if layout.auto_id else (layout.primary,))):
            data = FieldData(field_name=field.name, type=DataType[field.type])
            fill(data, field, [row.get(field.name) for row in rows])
            request.fields_data.append(data)
        vectors = FieldData(field_name=layout.vector.name, type=DataType.FLOAT_VECTOR)
        fill_vectors(vectors, layout.vector.dimension, chunks)
        request.fields_data.append(vectors)
        if layout.dynamic:
            dynamic_data = FieldData(field_name=DYNAMIC, type=DataType.JSON, is_dynamic=True)
            dynamic_data.scalars.json_data.data.extend(map(as_json_bytes, dynamic))
            request.fields_data.append(dynamic_data)
        return request

    def close(self) -> None:
        self.channel.close()


def fill(data: FieldData, field: Field, column: list[Any]) -> None:
    """Put a column into its message; for a nullable column, a validity mask and only the values that are not null."""
    from pymilvus.grpc_gen.schema_pb2 import ScalarField

    if field.nullable or field.default:
        data.valid_data.extend([value is not None for value in column])
        column = [value for value in column if value is not None]
    if field.type == "ARRAY":
        array = data.scalars.array_data
        array.SetInParent()
        for items in column:
            values = ScalarField()
            getattr(values, SLOTS[field.element]).data.extend(items)
            array.data.append(values)
    elif field.type == "JSON":
        data.scalars.json_data.data.extend(map(as_json_bytes, column))
        data.scalars.json_data.SetInParent()
    else:
        slot = getattr(data.scalars, SLOTS[field.type])
        slot.data.extend(column)
        slot.SetInParent()


def fill_vectors(data: FieldData, dimension: int, chunks: Sequence[Chunk]) -> None:
    """A FloatArray on the wire is a tag, a length and the floats in little-endian order, as numpy holds them
    (https://protobuf.dev/programming-guides/encoding/#packed)."""
    import numpy as np

    floats = np.stack([chunk.vector for chunk in chunks]).astype("<f4", copy=False)
    if floats.shape[1] != dimension:
        raise ValueError(f"the vectors have {floats.shape[1]} dimensions, the column {dimension}")
    data.vectors.dim = dimension
    data.vectors.float_vector.MergeFromString(b"\x0a" + varint(floats.nbytes) + floats.tobytes())


def varint(number: int) -> bytes:
    """A length in protobuf's encoding: seven bits per byte, the lowest first."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def as_json_bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else dumps(value)

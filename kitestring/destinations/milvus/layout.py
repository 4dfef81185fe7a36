"""The layout of a collection of ours or of a user: its fields and limits, and where our values go."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitestring.destinations.milvus.indexing import Indexing
from kitestring.errors import ConfigError
from kitestring.names import distinct
from kitestring.vector.payload import free_name

if TYPE_CHECKING:
    from pymilvus import CollectionSchema, MilvusClient

# https://milvus.io/docs/limitations.md
MAX_VARCHAR = 65_535
MAX_DYNAMIC = 65_536
PRIMARY = "id"
SPARSE = "_ks_sparse"
OURS = {
    "_ab_stream": 1_024,
    "_ab_record_id": MAX_VARCHAR,
    "_ks_key": 64,
    "_ks_digest": 64,
    "_ks_metadata_digest": 64,
    "_ks_namespace": 1_024,
}


@dataclass(frozen=True, slots=True)
class Field:
    """A column. `type` is the name of Milvus's data type; `max_length` the bytes of a VARCHAR or the items
    of an ARRAY."""

    name: str
    type: str
    max_length: int = 0
    dimension: int = 0
    element: str = ""
    nullable: bool = False
    default: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """An existing collection. `fields` are the columns that a row fills."""

    collection: str
    primary: Field
    auto_id: bool
    vector: Field
    text: str | None
    fields: Mapping[str, Field]
    dynamic: bool
    metric: str
    sparse: str | None
    partition_key: str | None = None

    def stores(self, name: str) -> bool:
        """Whether the collection can store a value of this name."""
        return name in self.fields or self.dynamic

    @property
    def identifies_rows(self) -> bool:
        """Whether a row identifies its record and chunk."""
        return self.stores("_ks_key") and self.stores("chunk_number")

    @property
    def stores_digests(self) -> bool:
        return self.stores("_ks_digest") and self.stores("_ks_metadata_digest")

    def row_id(self, key: str, number: int) -> str | int:
        """The primary key of a chunk, if we choose it: the chunk's id, or a hash of it if that does not fit."""
        chunk_id = f"{key}:{number}"
        if self.primary.type == "INT64":
            return int.from_bytes(hashlib.blake2b(chunk_id.encode(), digest_size=8).digest(), "big") >> 1
        if len(chunk_id) <= self.primary.max_length:
            return chunk_id
        return hashlib.blake2b(chunk_id.encode(), digest_size=min(32, self.primary.max_length // 2)).hexdigest()

    def stored_names(self, names: Collection[str]) -> dict[str, str]:
        """The names under which the metadata fields of one record are stored, no two alike."""
        return distinct(names, self.free_name)

    def free_name(self, name: str) -> str:
        """The name, with `_` in front if it is that of a field of ours."""
        reserved = {self.primary.name, self.vector.name, self.text, self.sparse, "$meta"}
        return free_name(name, reserved)

    def fit(self, dimension: int, where: str) -> None:
        """`ConfigError` if it cannot store vectors of this dimension, or chunks at all."""
        if self.vector.type != "FLOAT_VECTOR":
            raise ConfigError(
                f"the field {self.vector.name} of {self.collection} is {self.vector.type}, not FLOAT_VECTOR",
                hint="Correct indexing.vector_field, or name another collection.",
            )
        if self.vector.dimension != dimension:
            raise ConfigError(
                f"the collection {self.collection} has {self.vector.dimension} dimensions, the embedder makes"
                f" {dimension}",
                hint="Choose the embedder the collection was made with, name another collection, or set rebuild.",
                collection=self.collection,
                where=where,
            )
        if self.primary.type == "VARCHAR" and not self.auto_id and self.primary.max_length < 16:
            raise ConfigError(
                f"the primary key {self.primary.name} of {self.collection} takes {self.primary.max_length} bytes, a"
                " chunk's id needs at least 16",
                hint="Make the primary key longer (VARCHAR(64)), or name another collection.",
            )
        if self.auto_id and not self.stores("_ks_key"):
            raise ConfigError(
                f"the collection {self.collection} makes its own ids and cannot store ours (_ks_key, chunk_number)",
                hint="Enable its dynamic field, or add the columns _ks_key VARCHAR(64), chunk_number INT64, _ks_digest"
                " and _ks_metadata_digest VARCHAR(64), _ab_stream VARCHAR.",
            )


def read(client: MilvusClient, collection: str, indexing: Indexing, timeout: float) -> Layout:
    """The layout of an existing collection. `ConfigError` if a configured field is missing."""
    from pymilvus import DataType, FunctionType

    description = client.describe_collection(collection, timeout=timeout)
    primary: Field | None = None
    auto_id = bool(description.get("auto_id"))
    functions = description.get("functions") or ()
    outputs = {name for function in functions for name in function["output_field_names"]}
    fields: dict[str, Field] = {}
    for entry in description["fields"]:
        params = entry.get("params") or {}
        element = entry.get("element_type")
        field = Field(
            entry["name"],
            DataType(entry["type"]).name,
            int(params.get("max_length") or 0) if not element else int(params.get("max_capacity") or 0),
            int(params.get("dim") or 0),
            DataType(element).name if element else "",
            bool(entry.get("nullable")),
            entry.get("default_value") is not None,
        )
        if entry.get("is_primary"):
            primary = field
            auto_id = auto_id or bool(entry.get("auto_id"))
        elif field.name not in outputs and not entry.get("is_function_output"):
            fields[field.name] = field
    assert primary is not None
    vector = fields.pop(indexing.vector_field, None)
    if vector is None:
        raise ConfigError(
            f"the collection {collection} has no field {indexing.vector_field};"
            f" it has {', '.join([primary.name, *fields])}",
            hint="Correct indexing.vector_field, or name another collection.",
            collection=collection,
        )
    dynamic = bool(description.get("enable_dynamic_field"))
    has_text = indexing.text_field in fields or dynamic
    sparse = next(
        (
            o
            for f in description.get("functions") or ()
            if f["type"] == FunctionType.BM25
            for o in f["output_field_names"]
        ),
        None,
    )
    return Layout(
        collection,
        primary,
        auto_id,
        vector,
        indexing.text_field if has_text else None,
        fields,
        dynamic,
        metric_of(client, collection, vector.name, timeout),
        sparse,
        next((entry["name"] for entry in description["fields"] if entry.get("is_partition_key")), None),
    )


def metric_of(client: MilvusClient, collection: str, vector_field: str, timeout: float) -> str:
    for name in client.list_indexes(collection, field_name=vector_field, timeout=timeout):
        description = client.describe_index(collection, name, timeout=timeout)
        if (
            description
            and description.get("field_name", vector_field) == vector_field
            and description.get("metric_type")
        ):
            return str(description["metric_type"])
    return "L2"


def create(
    client: MilvusClient,
    collection: str,
    indexing: Indexing,
    dimension: int,
    columns: Mapping[str, str],
    *,
    text: bool,
    lite: bool,
) -> None:
    """Create a collection with our layout, indexed and loaded. `columns`: the types of the scalar fields."""
    from pymilvus import DataType, Function, FunctionType

    schema: CollectionSchema = client.create_schema(
        auto_id=False, enable_dynamic_field=True, description="Filled by Kitestring"
    )
    schema.add_field(PRIMARY, DataType.VARCHAR, is_primary=True, max_length=64)
    schema.add_field(indexing.vector_field, DataType.FLOAT_VECTOR, dim=dimension)
    if text:
        analyzed = {"enable_analyzer": True} if indexing.hybrid else {}
        schema.add_field(indexing.text_field, DataType.VARCHAR, max_length=MAX_VARCHAR, **analyzed)
    key = indexing.partition_key
    for name, max_length in OURS.items():
        schema.add_field(
            name, DataType.VARCHAR, max_length=max_length, **({"is_partition_key": True} if key == name else {})
        )
    schema.add_field("chunk_number", DataType.INT64)
    reserved = {PRIMARY, indexing.vector_field, indexing.text_field, SPARSE}
    columns = {free_name(name, reserved): kind for name, kind in columns.items()}
    key = free_name(key, reserved) if key is not None else None
    for name, kind in columns.items():
        # A server before 2.5 ignores `nullable`; `read` sees the result. A partition key is never nullable.
        attributes: dict[str, Any] = {"is_partition_key": True} if key == name else {"nullable": True}
        if kind == "VARCHAR":
            attributes["max_length"] = MAX_VARCHAR
        schema.add_field(name, getattr(DataType, kind), **attributes)
    index = client.prepare_index_params()
    index.add_index(
        indexing.vector_field,
        index_type="FLAT" if lite and indexing.index.type == "AUTOINDEX" else indexing.index.type,
        metric_type=indexing.metric,
        params=indexing.index.build_params(),
    )
    if indexing.hybrid and text:
        schema.add_field(SPARSE, DataType.SPARSE_FLOAT_VECTOR)
        schema.add_function(
            Function(
                name="kitestring_bm25",
                function_type=FunctionType.BM25,
                input_field_names=[indexing.text_field],
                output_field_names=[SPARSE],
            )
        )
        index.add_index(SPARSE, index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    if not lite:
        # On Lite an inverted index of these was no faster, and costs on every write.
        for name in ("_ab_stream", "_ks_key"):
            index.add_index(name, index_type="")
    for name, kind in columns.items():
        if kind in ("VARCHAR", "INT64", "DOUBLE") or (lite and kind == "BOOL"):  # a server before 2.4 has none for BOOL
            index.add_index(name, index_type="INVERTED" if lite else "")
    client.create_collection(collection, schema=schema, index_params=index, consistency_level="Strong")

"""A record as a document: the text that is embedded and the metadata that is stored beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kitestring.errors import ConfigError, RecordError
from kitestring.types import DELETED_AT, Record, Stream
from kitestring.vector.digest import canonical, digest
from kitestring.vector.fieldpath import FieldPath
from kitestring.vector.html import clean
from kitestring.vector.processing import Processing
from kitestring.vector.wellformed import well_formed, without_surrogates

NOT_FOUND = "__not_found__"
"""What stands in `_ab_record_id` for a primary key field that a record lacks (Airbyte's word)."""

LONG_TEXT = 1000
"""Characters. Where all fields are text and metadata at once, a string above this is text only: repeating it in every
chunk of a record multiplies the size of the collection."""

URL_FIELDS = ("html_url", "web_url", "webUrl", "permalink", "public_url", "source_url", "url", "link", "href")
UPDATED_FIELDS = (
    "updated_at", "updatedAt", "updated", "modified_at", "last_modified", "lastModified", "modified", "date_modified",
    "last_modified_at", "edited_at", "last_edited_time", "lastmodifieddate", "SystemModstamp", "update_time",
)  # fmt: skip


@dataclass(slots=True)
class Document:
    """One record, ready to be cut and embedded.

    `record_id` is Airbyte's `_ab_record_id`, `key` the unambiguous identity that chunk ids begin with. `text` may be
    empty: the record is there, but holds nothing to search. `metadata` is JSON and holds `_ab_stream` and, where the
    stream has a primary key, `_ab_record_id`.
    """

    record_id: str
    key: str
    text: str
    metadata: dict[str, Any]
    updated_at: str | None = None
    url: str | None = None


def stream_id(stream: Stream) -> str:
    """Airbyte's `_ab_stream`: the name, or `{namespace}_{name}`."""
    return f"{stream.namespace}_{stream.name}" if stream.namespace else stream.name


def record_id(stream: Stream, values: Sequence[Any]) -> str:
    """Airbyte's `_ab_record_id`: `{_ab_stream}_{value}_{value}`; `values` are the primary key's in its order."""
    return "_".join([stream_id(stream), *(NOT_FOUND if value is None else str(value) for value in values)])


def record_key(stream: Stream, values: Sequence[Any]) -> str:
    """32 hex characters that only this record of this stream has; `values` are the primary key's in its order.

    Unlike `record_id` it keeps (a_b, c) and (a, b_c) apart. A whole number and its text are one key (7 and "7"), since
    sources are not of one mind about the type of an id.
    """
    return digest("record", stream.namespace or "", stream.name, *(key_text(value) for value in values))


def key_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(value) if type(value) is int else canonical(value)


class Documents:
    """Turns the records of one stream into documents."""

    def __init__(self, processing: Processing, stream: Stream) -> None:
        self.processing = processing
        self.stream = stream
        self.stream_id = stream_id(stream)
        self.text_paths = [FieldPath.parse(text) for text in processing.text_fields]
        self.metadata_paths = [FieldPath.parse(text) for text in processing.metadata_fields]
        self.renamed = {mapping.from_field: mapping.to_field for mapping in processing.field_name_mappings}
        self.url_path = FieldPath.parse(processing.url_field) if processing.url_field else None
        self.updated_path = FieldPath.parse(processing.updated_at_field) if processing.updated_at_field else None
        self._check_schema()

    def _check_schema(self) -> None:
        declared = self.stream.schema.get("properties")
        if not self.text_paths or not isinstance(declared, Mapping) or not declared:
            return
        known = {path[0] for path in (*self.stream.primary_key, self.stream.cursor or ()) if path} | {DELETED_AT}
        if self.stream.schema.get("additionalProperties") is True and len(set(declared) - known) < 3:
            return  # an open schema that names little more than the keys says nothing about the texts
        if not any(path.possible(self.stream.schema) for path in self.text_paths):
            names = ", ".join(path.text for path in self.text_paths)
            raise ConfigError(
                f"none of the text fields ({names}) is in the stream {self.stream.key}, whose fields are "
                + shortened(sorted(declared)),
                hint="Correct processing.text_fields, or leave the stream out of this connection.",
                stream=self.stream.key,
                text_fields=[path.text for path in self.text_paths],
            )

    def of(self, record: Record) -> Document:
        """The record's document. `RecordError` when it has none of the text fields, or not all of its primary key."""
        key, name = self._identity(record)
        text = self._text(record)
        metadata = {without_surrogates(k): well_formed(v) for k, v in self._metadata(record).items()}
        url = self._url(record)
        updated_at = self._updated_at(record)
        if url is not None:
            metadata.setdefault("url", url)
        if updated_at is not None:
            metadata.setdefault("updated_at", updated_at)
        metadata["_ab_stream"] = self.stream_id
        if self.stream.primary_key:
            metadata["_ab_record_id"] = name
        return Document(name, key, text, metadata, updated_at, url)

    def _identity(self, record: Record) -> tuple[str, str]:
        values = [leaf(record, path) for path in self.stream.primary_key]
        name = without_surrogates(record_id(self.stream, values))
        if values and None not in values:
            return record_key(self.stream, values), name
        if values and self.stream.write.keep == "latest":
            missing = next(
                ".".join(p) for p, value in zip(self.stream.primary_key, values, strict=True) if value is None
            )
            raise RecordError(
                f"the record has no value in its primary key field {missing}, so no later version could replace it",
                hint="Write the stream in append mode, or choose another primary key.",
                field=missing,
            )
        # Without a key the content is the identity: writing the same record again after a crash adds no second copy.
        return digest("content", self.stream.namespace or "", self.stream.name, canonical(record)), name

    def _text(self, record: Record) -> str:
        fields = self._selected(record, self.text_paths)
        if not fields:
            names = ", ".join(path.text for path in self.text_paths) or "any field"
            raise RecordError(
                f"the record has none of the text fields ({names}); it has {shortened(sorted(map(str, record)))}",
                hint="Correct processing.text_fields.",
                text_fields=[path.text for path in self.text_paths],
            )
        if self.processing.html:
            fields = {name: cleaned(value) for name, value in fields.items()}
        if self.processing.field_names:
            return without_surrogates(labelled(fields))
        parts = (plain(value) for value in fields.values())
        return without_surrogates("\n\n".join(part for part in parts if part))

    def _metadata(self, record: Record) -> dict[str, Any]:
        if self.metadata_paths:
            return self._selected(record, self.metadata_paths)
        if not self.text_paths:
            return self._rename({k: v for k, v in record.items() if not (isinstance(v, str) and len(v) > LONG_TEXT)})
        kept: dict[str, Any] = dict(record)
        for path in self.text_paths:
            for place in path.matches(record):
                kept = without(kept, place)
        return self._rename(kept)

    def _selected(self, record: Record, paths: list[FieldPath]) -> dict[str, Any]:
        if not paths:
            return self._rename(record)
        found: dict[str, Any] = {}
        for path in paths:
            values = path.values(record)
            if values:
                found[path.text] = values if len(values) > 1 else values[0]
        return self._rename(found)

    def _rename(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {self.renamed.get(name, name): value for name, value in fields.items()}

    def _url(self, record: Record) -> str | None:
        if self.url_path is not None:
            return first_text(self.url_path.values(record))
        for name in URL_FIELDS:
            value = record.get(name)
            if isinstance(value, str) and value.startswith(("https://", "http://")):
                return without_surrogates(value)
        return None

    def _updated_at(self, record: Record) -> str | None:
        if self.updated_path is not None:
            return first_text(self.updated_path.values(record))
        for name in UPDATED_FIELDS:
            value = record.get(name)
            if value is not None and not isinstance(value, bool | dict | list):
                return without_surrogates(str(value))
        return None


def leaf(record: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = record
    for part in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def first_text(values: list[Any]) -> str | None:
    return next((without_surrogates(str(value)) for value in values if value is not None), None)


def plain(value: Any) -> str:
    """The words in a value: texts and numbers without the names around them; null, true and false say nothing."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "\n".join(part for part in map(plain, value.values()) if part)
    if isinstance(value, list | tuple):
        return "\n".join(part for part in map(plain, value) if part)
    return str(value)


def labelled(fields: Mapping[str, Any]) -> str:
    """Airbyte's form of a document: a line `name: value` per field, a nested object in lines below its name."""
    return "".join(f"{name}: {labelled_value(value)}\n" for name, value in fields.items())


def labelled_value(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "\n" + labelled(value)
    if isinstance(value, list):
        return "\n".join(map(labelled_value, value))
    return str(value)


def cleaned(value: Any) -> Any:
    """A value with every HTML text inside it turned into clean text."""
    if isinstance(value, str):
        return clean(without_surrogates(value))
    if isinstance(value, Mapping):
        return {name: cleaned(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [cleaned(inner) for inner in value]
    return value


def without(fields: dict[str, Any], place: Sequence[str | int]) -> dict[str, Any]:
    """A copy without the value at `place`; only what is on the way is copied. An item of a list stays, as null."""
    first, rest = place[0], place[1:]
    if not rest:
        return {name: value for name, value in fields.items() if name != first}
    return {**fields, str(first): pruned(fields[str(first)], rest)}


def pruned(node: Any, place: Sequence[str | int]) -> Any:
    if isinstance(node, dict):
        return without(node, place)
    number = int(place[0])
    return [
        (pruned(item, place[1:]) if len(place) > 1 else None) if position == number else item
        for position, item in enumerate(node)
    ]


def shortened(names: Sequence[str], most: int = 12) -> str:
    """A list of names for a message."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


__all__ = ["Document", "Documents", "record_id", "record_key", "stream_id"]

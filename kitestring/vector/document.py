"""A record as a document: the text that is embedded and the metadata that is stored beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kitestring.errors import ConfigError, RecordError
from kitestring.json_codec import without_surrogates
from kitestring.paths import FieldPath, at
from kitestring.types import DELETED_AT, Record, Stream
from kitestring.vector.digest import canonical, digest
from kitestring.vector.html import clean
from kitestring.vector.processing import Processing
from kitestring.vector.record_key import former_key, former_text, record_id, record_key, stream_id
from kitestring.vector.unicode import well_formed, well_named

LONG_TEXT = 60_000
"""Bytes. Without chosen metadata fields the embedded texts are metadata too, as with Airbyte, and repeated in every
chunk of the record. A longer text does not fit into a row: the metadata hold its beginning."""

BEGINNING = 1_000
"""Characters that the metadata hold of a text that is too long."""

OURS = frozenset({"_ab_stream", "_ab_record_id"})
"""Metadata that Kitestring adds: a record's field with such a name is stored under another."""

URL_FIELDS = ("html_url", "web_url", "webUrl", "permalink", "public_url", "source_url", "url", "link", "href")
UPDATED_FIELDS = (
    "updated_at", "updatedAt", "updated", "modified_at", "last_modified", "lastModified", "modified", "date_modified",
    "last_modified_at", "edited_at", "last_edited_time", "lastmodifieddate", "SystemModstamp", "update_time",
)  # fmt: skip


@dataclass(slots=True)
class Document:
    """One record, ready to be chunked and embedded.

    `record_id` is Airbyte's `_ab_record_id`, `key` the unambiguous identity that chunk ids begin with, `former_key` the
    one that an earlier version gave the record, if that was another. `text` may be empty: the record exists but has
    nothing to search. `metadata` is JSON (decimals and whole numbers of any size aside) and holds `_ab_stream`
    and, where the stream has a primary key, `_ab_record_id`; of `cut` fields it holds the beginning only.
    """

    record_id: str
    key: str
    text: str
    metadata: dict[str, Any]
    updated_at: str | None = None
    url: str | None = None
    former_key: str | None = None
    cut: int = 0


class DocumentBuilder:
    """Turns the records of one stream into documents."""

    def __init__(self, processing: Processing, stream: Stream, omit_text: bool = False) -> None:
        self.processing = processing
        self.stream = stream
        self.omit_text = omit_text
        self.stream_id = stream_id(stream)
        self.text_paths = [FieldPath.parse(text) for text in processing.text_fields]
        self.metadata_paths = [FieldPath.parse(text) for text in processing.metadata_fields]
        self.aliases = {mapping.from_field: mapping.to_field for mapping in processing.field_name_mappings}
        self.url_path = FieldPath.parse(processing.url_field) if processing.url_field else None
        self.updated_path = FieldPath.parse(processing.updated_at_field) if processing.updated_at_field else None
        self._check_schema()

    def _check_schema(self) -> None:
        declared = self.stream.schema.get("properties")
        if not self.text_paths or not isinstance(declared, Mapping) or not declared:
            return
        key_fields = {path[0] for path in (*self.stream.primary_key, self.stream.cursor or ()) if path} | {DELETED_AT}
        if self.stream.schema.get("additionalProperties") is True and len(set(declared) - key_fields) < 3:
            return  # an open schema with little more than the keys does not tell which texts exist
        if not any(path.possible(self.stream.schema) for path in self.text_paths):
            names = ", ".join(path.text for path in self.text_paths)
            raise ConfigError(
                f"none of the text fields ({names}) is in the stream {self.stream.key}, whose fields are "
                + listed(sorted(declared)),
                hint="Correct processing.text_fields, or leave the stream out of this connection.",
                stream=self.stream.key,
                text_fields=[path.text for path in self.text_paths],
            )

    def build(self, record: Record) -> Document:
        """The record's document. `RecordError` if it has none of the text fields, or not all of its primary key;
        `TooDeepError` or `RecursionError` if it is nested too deeply."""
        key, former_key, name = self._identity(record)
        text = self._text(record)
        metadata, cut = self._metadata(record)
        url = self._url(record)
        updated_at = self._updated_at(record)
        if url is not None:
            metadata.setdefault("url", url)
        if updated_at is not None:
            metadata.setdefault("updated_at", updated_at)
        metadata["_ab_stream"] = self.stream_id
        if self.stream.primary_key:
            metadata["_ab_record_id"] = name
        return Document(name, key, text, metadata, updated_at, url, former_key, cut)

    def _identity(self, record: Record) -> tuple[str, str | None, str]:
        values = [at(record, path) for path in self.stream.primary_key]
        name = without_surrogates(record_id(self.stream, values))
        if values and None not in values:
            if self.stream.write.replace and self.stream.write.keep == "all":  # each version is a record of its own
                return digest("version", record_key(self.stream, values), canonical(record)), None, name
            return record_key(self.stream, values), former_key(self.stream, values), name
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
        return *content_keys(self.stream, record), name

    def _text(self, record: Record) -> str:
        fields = well_named(self._selected(record, self.text_paths).items(), self.aliases)
        if not fields:
            names = ", ".join(path.text for path in self.text_paths) or "any field"
            raise RecordError(
                f"the record has none of the text fields ({names}); it has {listed(sorted(map(str, record)))}",
                hint="Correct processing.text_fields.",
                text_fields=[path.text for path in self.text_paths],
            )
        if self.processing.html:
            fields = {name: clean_html(value) for name, value in fields.items()}
        if self.processing.field_names:
            return without_surrogates(label_fields(fields))
        parts = (text_in(value) for value in fields.values())
        return without_surrogates("\n\n".join(part for part in parts if part))

    def _metadata(self, record: Record) -> tuple[dict[str, Any], int]:
        """The metadata, and how many texts were cut in them. Without chosen fields: all fields, as with Airbyte."""
        cut = 0
        if self.metadata_paths:
            fields = self._selected(record, self.metadata_paths)
        elif self.omit_text:
            fields = self._without_text(record)
        else:
            fields = dict(record)
            for name, value in record.items():
                if isinstance(value, str) and self._too_long(record, name, value):
                    fields[name] = value[:BEGINNING]
                    cut += 1
        if record.get(DELETED_AT) is not None:
            fields.setdefault(DELETED_AT, record[DELETED_AT])
        named = well_named(fields.items(), self.aliases, OURS)
        return {name: well_formed(value) for name, value in named.items()}, cut

    def _too_long(self, record: Record, name: str, value: str) -> bool:
        """Whether a text is too long to be repeated in the metadata, and is embedded, so that nothing is lost."""
        if len(value) * 4 <= LONG_TEXT or len(value.encode("utf-8", "surrogatepass")) <= LONG_TEXT:
            return False
        return not self.text_paths or any((name,) in path.matches(record) for path in self.text_paths)

    def _without_text(self, record: Record) -> Record:
        """The fields that are not embedded; if all are, those that are not long texts."""
        if not self.text_paths:
            return {k: v for k, v in record.items() if not (isinstance(v, str) and len(v) > BEGINNING)}
        fields = dict(record)
        for path in self.text_paths:
            for place in path.matches(record):
                fields = without_path(fields, place)
        return fields

    def _selected(self, record: Record, paths: list[FieldPath]) -> dict[str, Any]:
        if not paths:
            return dict(record)
        selected: dict[str, Any] = {}
        for path in paths:
            values = path.values(record)
            if values:
                selected[path.text] = values if len(values) > 1 else values[0]
        return selected

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


def first_text(values: list[Any]) -> str | None:
    return next((without_surrogates(str(value)) for value in values if value is not None), None)


def text_in(value: Any) -> str:
    """The text in a value: strings and numbers without the names of fields; null, true and false add nothing."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "\n".join(part for part in map(text_in, value.values()) if part)
    if isinstance(value, list | tuple):
        return "\n".join(part for part in map(text_in, value) if part)
    return str(value)


def label_fields(fields: Mapping[str, Any]) -> str:
    """Airbyte's form of a document: a line `name: value` per field, a nested object in lines below its name."""
    return "".join(f"{name}: {label_value(value)}\n" for name, value in fields.items())


def label_value(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "\n" + label_fields(value)
    if isinstance(value, list):
        return "\n".join(map(label_value, value))
    return str(value)


def clean_html(value: Any) -> Any:
    """A value with every HTML text inside it turned into clean text."""
    if isinstance(value, str):
        return clean(without_surrogates(value))
    if isinstance(value, Mapping):
        return {name: clean_html(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [clean_html(inner) for inner in value]
    return value


def without_path(fields: dict[str, Any], place: Sequence[str | int]) -> dict[str, Any]:
    """A copy without the value at `place`; only the objects on the path are copied. An item of a list becomes null."""
    first, rest = place[0], place[1:]
    if not rest:
        return {name: value for name, value in fields.items() if name != first}
    return {**fields, str(first): prune(fields[str(first)], rest)}


def prune(node: Any, place: Sequence[str | int]) -> Any:
    if isinstance(node, dict):
        return without_path(node, place)
    number = int(place[0])
    return [
        (prune(item, place[1:]) if len(place) > 1 else None) if position == number else item
        for position, item in enumerate(node)
    ]


def listed(names: Sequence[str], most: int = 12) -> str:
    """A list of names for a message."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def content_keys(stream: Stream, record: Record) -> tuple[str, str | None]:
    """The key of a record without a primary key, from its content; and the former key, if that was another."""
    parts = ("content", stream.namespace or "", stream.name)
    key, former = digest(*parts, canonical(record)), digest(*parts, former_text(record))
    return key, None if former == key else former

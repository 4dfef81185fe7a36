"""Request named properties, in several requests if they are too many, and merge the responses."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.page import Page
from kitestring.declarative.paginator import PageInfo
from kitestring.declarative.slice import WHOLE, Slice
from kitestring.errors import ConfigError
from kitestring.paths import value_at
from kitestring.types import Record


@keyword("PropertiesFromEndpoint")
class PropertiesFromEndpoint:
    """The names of properties, requested from the API."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._retriever = node.needed_child("retriever", "SimpleRetriever", name="properties", cached=True)
        self._path = node.path_of("property_field_path")

    def names(self) -> list[str]:
        path = [part({}) for part in self._path]
        names = (value_at(record, path) for page in self._retriever.pages(WHOLE) for record in page.records)
        return [str(name) for name in names if name is not None]


@keyword("GroupByKeyMergeStrategy")
class GroupByKeyMergeStrategy:
    """Merges records of several responses with equal values of these fields."""

    def __init__(self, node: Node, **_: Any) -> None:
        key = node.need("key")
        self._names = [str(name) for name in key] if isinstance(key, list) else [str(key)]

    def key(self, record: Record) -> Any:
        values = [record.get(name) for name in self._names]
        return None if any(value is None for value in values) else ",".join(map(str, values))


@keyword("PropertyChunking")
class PropertyChunking:
    """Limits the properties, or the characters of their names, per request."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._by = node.need("property_limit_type")
        if self._by not in ("characters", "property_count"):
            raise node.error(f"is {self._by!r}, characters or property_count is expected", "property_limit_type")
        self._limit = node.integer("property_limit")
        strategy = node.child("record_merge_strategy", "GroupByKeyMergeStrategy")
        self.key = strategy.key if strategy is not None else lambda record: None

    def chunks(self, names: list[str], always: list[str]) -> Iterator[list[str]]:
        if not self._limit:
            yield [*names, *always]
            return
        chunk: list[str] = []
        size = 0
        for name in names:
            # A comma, which is three characters in an address, counts with every name (as in airbyte-cdk 7.39.1).
            weight = len(name) + 3 if self._by == "characters" else 1
            if chunk and size + weight > self._limit:
                yield [*always, *chunk]
                chunk, size = [], 0
            chunk.append(name)
            size += weight
        yield [*always, *chunk]


@keyword("JsonSchemaPropertySelector")
class JsonSchemaPropertySelector:
    """Drops the properties that are not in the configured schema of the stream.

    Without one (check, discover, a parent stream, a schema without properties) all are requested.
    """

    def __init__(self, node: Node, **_: Any) -> None:
        self._transformations = node.children("transformations")

    def select(self, schema: Mapping[str, Any]) -> set[str] | None:
        properties = copy.deepcopy(schema.get("properties"))
        if not isinstance(properties, dict):
            return None
        for transformation in self._transformations:
            transformation.transform(properties, {"record": properties})
        return set(properties)


@keyword("QueryProperties")
class QueryProperties:
    """The properties of a request: a list, or the list that the API returns."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._node = node
        names = node.need("property_list")
        self._source = names if isinstance(names, list) else node.child("property_list", "PropertiesFromEndpoint")
        self._always = [str(name) for name in node.items("always_include_properties")]
        self._chunking: PropertyChunking | None = node.child("property_chunking", "PropertyChunking")
        self._selector: JsonSchemaPropertySelector | None = node.child(
            "property_selector", "JsonSchemaPropertySelector"
        )
        self.schema: Mapping[str, Any] = {}
        """The schema that the stream was configured with."""

    def chunks(self) -> list[list[str]]:
        properties = self._source if isinstance(self._source, list) else self._source.names()
        names = [str(name) for name in properties]
        chosen = self._selector.select(self.schema) if self._selector is not None else None
        if chosen is not None:
            names = [name for name in names if name in chosen]
        if self._chunking is None:
            return [[*self._always, *names]]
        return list(self._chunking.chunks([name for name in names if name not in self._always], self._always))

    def page(self, retriever: Any, part: Slice, token: Any, cursor_filter: Any) -> Iterator[Any]:
        """One page: the merged records of all chunks, then the `PageInfo` of the last response."""
        merged: dict[Any, Record] = {}
        info: PageInfo | None = None
        extracted, size, rejects, loose, doubt = 0, 0, [], [], ""
        for names in self.chunks():
            chunk_slice = Slice(part.partition, part.cursor_slice, {**part.extra_fields, "query_properties": names})
            result = retriever.read_properties(chunk_slice, token, cursor_filter, names)
            if result is None:
                return
            response, body, page, extracted = result
            doubt = doubt or page.doubt
            size += page.nbytes
            rejects.extend(page.rejects)
            for record in page.records:
                key = self._chunking.key(record) if self._chunking is not None else None
                if key is None:
                    loose.append(record)
                elif key in merged:
                    merge_deep(merged[key], record)
                else:
                    merged[key] = record
            value = token["next_page_token"] if token else None
            info = PageInfo(response, body, extracted, 0, None, value, part)
        if info is None:
            raise ConfigError(f"manifest, {self._node.path}: there are no properties to request")
        records = [*loose, *merged.values()]
        info.selected, info.last = len(records), records[-1] if records else None
        yield Page(records, rejects, size, doubt)
        yield info


def merge_deep(target: Record, source: Record) -> None:
    for name, value in source.items():
        if isinstance(value, dict) and isinstance(target.get(name), dict):
            merge_deep(target[name], value)
        else:
            target[name] = value

"""Extractors: find the records in a response."""

from __future__ import annotations

import copy
import logging
from collections.abc import Collection
from typing import Any, Protocol

from kitestring.declarative import empty_page
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.slice import Slice
from kitestring.errors import ConfigError
from kitestring.paths import find_places, set_value, value_at, values_at

log = logging.getLogger("kitestring.declarative")


class Extractor(Protocol):
    """`records(bodies)` extracts records from decoded values. `doubt` says why none may be wrong (arguments as in
    `empty_page.doubt`)."""

    def records(self, bodies: list[Any]) -> list[Any]: ...

    def doubt(self, bodies: list[Any], names: Collection[str], listed: bool, had_records: bool) -> str: ...


@keyword("DpathExtractor")
class DpathExtractor:
    """The list or the single object at a path; `*` in the path matches any name or index."""

    def __init__(self, node: Node, **_: Any) -> None:
        value = node.get("field_path", [])
        if not isinstance(value, list):
            raise node.error("a list of names is expected (empty for the whole response)", "field_path")
        self._path = node.path_of("field_path") if value else []
        self._expander = node.child("record_expander", "RecordExpander")

    def records(self, bodies: list[Any]) -> list[Any]:
        path = [part({}) for part in self._path]
        if not path and self._expander is None and not any(isinstance(body, list) for body in bodies):
            return [body for body in bodies if body]
        records: list[Any] = []
        for body in bodies:
            value = values_at(body, path) if "*" in path else value_at(body, path, None)
            if value is None:
                value = self._match_pattern(body, path)
            if len(bodies) == 1 and isinstance(value, list) and self._expander is None:
                return value
            if isinstance(value, list):
                records.extend(value)
            elif value:
                records.append(value)
        return [item for record in records for item in self._expander.expand(record)] if self._expander else records

    def _match_pattern(self, body: Any, path: list[Any]) -> Any:
        """The only value that matches a path with patterns (`item_*`, `**`); an empty list for no match."""
        if not any(isinstance(step, str) and any(sign in step for sign in "*?[") for step in path):
            return []
        values = [holder[name] for holder, name in find_places(body, path)]
        if len(values) > 1:
            raise ConfigError(
                f"{len(values)} values of the page match the path {path}, one is expected",
                hint="Use `*` for a step to get all values.",
            )
        return values[0] if values else []

    def doubt(self, bodies: list[Any], names: Collection[str], listed: bool, had_records: bool) -> str:
        return empty_page.doubt(bodies, [part({}) for part in self._path], names, listed, had_records)


@keyword("CombinedExtractor")
class CombinedExtractor:
    """Several extractors: all their records (`union`), or those of the first with any (`first_match`)."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._extractors: list[Extractor] = node.children("extractors", "DpathExtractor")
        if not self._extractors:
            raise node.error("needs at least one extractor", "extractors")
        self._first = node.get("mode", "union") == "first_match"
        self._skip_empty = node.flag("skip_empty_records")

    def records(self, bodies: list[Any]) -> list[Any]:
        all_records: list[Any] = []
        for extractor in self._extractors:
            records = extractor.records(bodies)
            if self._skip_empty:
                records = [record for record in records if record]
            if self._first and records:
                return records
            all_records.extend(records)
        return all_records

    def doubt(self, bodies: list[Any], names: Collection[str], listed: bool, had_records: bool) -> str:
        """No doubt if one of the extractors has none."""
        reasons = [extractor.doubt(bodies, names, listed, had_records) for extractor in self._extractors]
        return reasons[0] if all(reasons) else ""


@keyword("RecordExpander")
class RecordExpander:
    """Makes a record of each item of a list inside a record."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._path = node.path_of("expand_records_from_field")
        self._keep_original = node.flag("remain_original_record")
        self._merge = node.flag("merge_parent")
        self._emit_parent = node.get("on_no_records", "skip") == "emit_parent"
        parents = [node.at(value, f"parent_fields[{i}]") for i, value in enumerate(node.items("parent_fields"))]
        self._copied = [(parent.items("parent_path"), parent.items("record_path")) for parent in parents]
        self._truncated = node.path_of("truncation_indicator_path") if node.get("truncation_indicator_path") else None
        self._rest: Any = node.child("truncated_list_retriever", "SimpleRetriever", name=f"{node.path} (whole list)")
        if self._rest is not None and self._truncated is None:
            raise node.error("needs a `truncation_indicator_path`", "truncated_list_retriever")
        self._warned = False

    def expand(self, record: Any) -> list[Any]:
        path = [part({}) for part in self._path]
        items = values_at(record, path) if "*" in path else value_at(record, path)
        if "*" in path and items and all(isinstance(item, list) for item in items):
            items = [inner for item in items for inner in item]
        if not isinstance(items, list):
            items = []
        if self._truncated is not None and value_at(record, [part({}) for part in self._truncated]):
            items = self._complete_list(record, items)
        if not items:
            return [record] if self._emit_parent else []
        return [self._with_parent(record, item, path) for item in items]

    def _complete_list(self, record: Any, items: list[Any]) -> list[Any]:
        """The complete list of a record that holds only its beginning; the beginning if the request returns nothing."""
        if self._rest is not None:
            part = Slice({"parent_record": record})
            return [item for page in self._rest.pages(part) for item in page.records] or items
        if not self._warned:
            self._warned = True
            log.warning(
                "records are missing: the API truncated a list to %d, and the manifest does not fetch the rest",
                len(items),
            )
        return items

    def _with_parent(self, record: Any, item: Any, path: list[Any]) -> Any:
        """An item with the fields it keeps of its parent."""
        if not isinstance(item, dict):
            if not (self._merge or self._keep_original or self._copied):
                return item
            item = {"value": item}
        merged = self._merge and isinstance(record, dict)
        item = {**copy.deepcopy(without_path(record, path)), **item} if merged else dict(item)
        if self._keep_original:
            item["original_record"] = record
        for source, target in self._copied:
            set_value(item, target, value_at(record, source))
        return item


def without_path(record: Any, path: list[Any]) -> Any:
    """A copy of a record without the value at a path; the record itself does not change."""
    if not path or not isinstance(record, dict):
        return record
    step, *rest = path
    if step == "*":
        return {name: without_path(value, rest) for name, value in record.items()} if rest else {}
    if step not in record:
        return record
    if not rest:
        return {name: value for name, value in record.items() if name != step}
    return {**record, step: without_path(record[step], rest)}


@keyword("ParentFieldPath")
class ParentFieldPath:
    """A value of the expanded record that is copied to each item: a part of `RecordExpander`."""

    def __init__(self, node: Node, **_: Any) -> None: ...

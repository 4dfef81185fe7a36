"""Which part of a response are records."""

from __future__ import annotations

from typing import Any, Protocol

from kitestring.declarative import field
from kitestring.declarative.keyword import Node, keyword


class Extractor(Protocol):
    """`records(bodies)` are the records in decoded values."""

    def records(self, bodies: list[Any]) -> list[Any]: ...


@keyword("DpathExtractor")
class DpathExtractor:
    """The list (or the one object) at a path; `*` in the path stands for any name or index."""

    def __init__(self, node: Node, **_: Any) -> None:
        value = node.get("field_path", [])
        if not isinstance(value, list):
            raise node.wrong("a list of names is expected (empty for the whole response)", "field_path")
        self._path = node.path_of("field_path") if value else []
        self._expander = node.child("record_expander", "RecordExpander")

    def records(self, bodies: list[Any]) -> list[Any]:
        path = [part({}) for part in self._path]
        if not path and self._expander is None and not any(isinstance(body, list) for body in bodies):
            return [body for body in bodies if body]
        found: list[Any] = []
        for body in bodies:
            value = field.every(body, path) if "*" in path else field.get(body, path, [])
            if len(bodies) == 1 and isinstance(value, list) and self._expander is None:
                return value
            if isinstance(value, list):
                found.extend(value)
            elif value:
                found.append(value)
        return [one for record in found for one in self._expander.expanded(record)] if self._expander else found


@keyword("CombinedExtractor")
class CombinedExtractor:
    """Several extractors: all their records (`union`), or those of the first that finds any (`first_match`)."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._extractors: list[Extractor] = node.children("extractors", "DpathExtractor")
        if not self._extractors:
            raise node.wrong("needs at least one extractor", "extractors")
        self._first = node.get("mode", "union") == "first_match"
        self._skip_empty = node.flag("skip_empty_records")

    def records(self, bodies: list[Any]) -> list[Any]:
        found: list[Any] = []
        for extractor in self._extractors:
            records = extractor.records(bodies)
            if self._skip_empty:
                records = [record for record in records if record]
            if self._first and records:
                return records
            found.extend(records)
        return found


@keyword("RecordExpander")
class RecordExpander:
    """Makes a record of each item of a list inside a record."""

    def __init__(self, node: Node, **_: Any) -> None:
        self._path = node.path_of("expand_records_from_field")
        self._keep_original = node.flag("remain_original_record")
        self._merge = node.flag("merge_parent")
        self._emit_parent = node.get("on_no_records", "skip") == "emit_parent"
        parents = [node.at(value, f"parent_fields[{i}]") for i, value in enumerate(node.items("parent_fields"))]
        self._copied = [(one.items("parent_path"), one.items("record_path")) for one in parents]
        if node.get("truncated_list_retriever") is not None:
            raise node.wrong("fetching the rest of a truncated list is not supported yet", "truncated_list_retriever")

    def expanded(self, record: Any) -> list[Any]:
        path = [part({}) for part in self._path]
        items = field.every(record, path) if "*" in path else field.get(record, path)
        if "*" in path and items and all(isinstance(item, list) for item in items):
            items = [one for item in items for one in item]
        if not isinstance(items, list) or not items:
            return [record] if self._emit_parent else []
        found = []
        for item in items:
            if isinstance(item, dict):
                item = {**record, **item} if self._merge and isinstance(record, dict) else dict(item)
                if self._keep_original:
                    item["original_record"] = record
                for source, target in self._copied:
                    field.put(item, target, field.get(record, source))
            found.append(item)
        return found


@keyword("ParentFieldPath")
class ParentFieldPath:
    """A value of the expanded record that each of its items keeps: a part of `RecordExpander`."""

    def __init__(self, node: Node, **_: Any) -> None: ...

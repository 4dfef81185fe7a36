"""Turn extracted values into records: filter, transform, normalise; a value that fails becomes a reject."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from kitestring.declarative.extractor import Extractor
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.requester import Token
from kitestring.declarative.slice import Slice
from kitestring.declarative.template import EvaluationError
from kitestring.types import Record, Reject

CursorFilter = Callable[[Record], bool]


@keyword("RecordFilter")
class RecordFilter:
    """Keeps the records for which a condition holds."""

    def __init__(self, node: Node, **_: Any) -> None:
        self.condition = node.condition(node.get("condition", ""))


@keyword("RecordSelector")
class RecordSelector:
    """The records of a page, in the order extract, filter, transform (or transform, filter), normalise."""

    def __init__(
        self,
        node: Node,
        transformations: list[Any] | None = None,
        transform_first: bool = False,
        schema: Callable[[], Any] | None = None,
        template_values: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """`template_values`: what templates see beside the record and its slice."""
        self._template_values = template_values or {}
        self._extractor: Extractor = node.needed_child("extractor", "DpathExtractor")
        record_filter = node.child("record_filter", "RecordFilter")
        self._condition = record_filter.condition if record_filter is not None else None
        self._transformations = transformations or []
        first = node.get("transform_before_filtering")
        self._transform_first = transform_first if first is None else bool(first)
        normalize = node.get("schema_normalization", "None")
        if isinstance(normalize, dict):
            node.typed(normalize, "schema_normalization").build()
        elif normalize not in ("None", "Default"):
            raise node.error(f"is {normalize!r}, None or Default is expected", "schema_normalization")
        self._schema = schema if normalize == "Default" else None
        self._normalize: Callable[[Record], None] | None = None
        self.plain = self._condition is None and not self._transformations and self._schema is None

    def extract(self, bodies: list[Any]) -> list[Any]:
        return self._extractor.records(bodies)

    def doubt(self, bodies: list[Any], names: Collection[str], listed: bool, had_records: bool) -> str:
        """Why a page without records may be wrong; empty if the page is empty."""
        return self._extractor.doubt(bodies, names, listed, had_records)

    def select(
        self, values: list[Any], part: Slice, token: Token | None, cursor_filter: CursorFilter | None = None
    ) -> tuple[list[Record], list[Reject]]:
        """Records and rejects. `cursor_filter` is applied before the condition."""
        rejects: list[Reject] = []
        if values and set(map(type, values)) != {dict}:
            values, rejects = split_records(values)
        if self.plain:
            return (
                values if cursor_filter is None else [record for record in values if cursor_filter(record)]
            ), rejects
        if self._schema is not None and self._normalize is None:
            from kitestring.declarative.normalization import normalizer

            self._normalize = normalizer(self._schema())
        records: list[Record] = []
        context: dict[str, Any] = {
            **self._template_values,
            "record": None,
            "stream_slice": part,
            "next_page_token": token,
        }
        for record in values:
            context["record"] = record
            try:
                if self._transform_first:
                    self._transform(record, context)
                if cursor_filter is not None and not cursor_filter(record):
                    continue
                if self._condition is not None and not self._condition(context):
                    continue
                if not self._transform_first:
                    self._transform(record, context)
                if self._normalize is not None:
                    self._normalize(record)
            except (EvaluationError, TypeError, KeyError, AttributeError) as error:
                rejects.append(Reject(record, str(error)))
                continue
            records.append(record)
        return records, rejects

    def _transform(self, record: Record, context: dict[str, Any]) -> None:
        for transformation in self._transformations:
            transformation.transform(record, context)


def split_records(values: list[Any]) -> tuple[list[Any], list[Reject]]:
    """Split values into objects, which can be records, and rejects."""
    return (
        [value for value in values if isinstance(value, dict)],
        [
            Reject({"value": value}, f"the page holds {type(value).__name__} where a record (an object) is expected")
            for value in values
            if not isinstance(value, dict)
        ],
    )

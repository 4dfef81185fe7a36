"""A slice: the part of a stream that a request reads, by partition and by cursor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Slice(dict[str, Any]):
    """The values of a partition and of a cursor interval in one mapping, for templates.

    `partition` names the parent record or list value, `cursor_slice` holds the bounds of the cursor, `extra_fields`
    are values of the parent record for requests and transformations.
    """

    __slots__ = ("cursor_slice", "extra_fields", "partition")

    def __init__(
        self,
        partition: Mapping[str, Any] | None = None,
        cursor_slice: Mapping[str, Any] | None = None,
        extra_fields: Mapping[str, Any] | None = None,
    ) -> None:
        self.partition = dict(partition or {})
        self.cursor_slice = dict(cursor_slice or {})
        self.extra_fields = dict(extra_fields or {})
        super().__init__({**self.partition, **self.cursor_slice})

    def __reduce__(self) -> tuple[Any, ...]:
        return Slice, (self.partition, self.cursor_slice, self.extra_fields)

    def with_cursor(self, cursor_slice: Mapping[str, Any]) -> Slice:
        """The same partition with another cursor interval."""
        return Slice(self.partition, cursor_slice, self.extra_fields)


WHOLE = Slice()

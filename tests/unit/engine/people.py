"""A source of people in memory, and the ids that a destination has."""

from __future__ import annotations

from typing import Any

from kitestring.testing.memory import MemoryDestination, MemorySource


def people(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"id": n, "name": f"person {n}", "seen": n} for n in range(start, start + count)]


def source(count: int = 10, **more: Any) -> MemorySource:
    return MemorySource(records={"people": people(count)}, primary_keys={"people": "id"}, **more)


def incremental(count: int = 10, **more: Any) -> MemorySource:
    return source(count, cursors={"people": "seen"}, **more)


def ids(destination: MemoryDestination, name: str = "people") -> list[int]:
    return sorted(row["id"] for row in destination.stored.get(name, []))

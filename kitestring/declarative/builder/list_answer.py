"""Where the records, the key and the next page are in an answer that is a list, judged by one answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kitestring.declarative.builder import paging
from kitestring.declarative.builder.manifest_plan import singular, snake

LIST_NAMES = (
    *(
        "data",
        "items",
        "results",
        "records",
        "entries",
        "values",
        "value",
        "objects",
        "rows",
        "list",
        "content",
        "hits",
    ),
    *("result", "nodes", "elements", "collection", "members"),
)
"""Usual names of the list of records."""
DEEPEST = 5
MOST_LISTS = 100
MOST_FIELDS = 5000
Path = list[str]


def lists_in(answer: Any) -> list[tuple[Path, list[Any]]]:
    """The lists of objects in an answer, outside other lists, with their paths; at most `MOST_LISTS`."""
    lists: list[tuple[Path, list[Any]]] = []

    def look(value: Any, path: Path) -> None:
        if len(lists) >= MOST_LISTS:
            return
        if isinstance(value, list):
            if not value or any(isinstance(item, Mapping) for item in value):
                lists.append((path, value))
        elif isinstance(value, Mapping) and len(path) < DEEPEST:
            for name in list(value)[:MOST_FIELDS]:
                look(value[name], [*path, str(name)])

    look(answer, [])
    return lists


def ranked_lists(answer: Any, name: str = "") -> list[tuple[Path, list[Any]]]:
    """The lists of an answer, the most likely first. `name`: of the stream, which the list often has too."""
    word = snake(name)

    def rank(entry: tuple[Path, list[Any]]) -> tuple[Any, ...]:
        path, rows = entry
        last = snake(path[-1]) if path else ""
        named = last in (word, singular(word), word + "s") or word.endswith("_" + last) if word and last else False
        usual = LIST_NAMES.index(last) if last in LIST_NAMES else len(LIST_NAMES)
        return (not path, bool(rows), named, -len(path), -usual, len(rows))

    return sorted(lists_in(answer), key=rank, reverse=True)


@dataclass(frozen=True, slots=True)
class LikelyRecords:
    """The path of the list that most likely has the records of an answer, and how many objects it has."""

    path: list[str]
    count: int


def likely_records(answer: Any, name: str = "") -> LikelyRecords | None:
    """The most likely list of an answer; None without a list of objects."""
    for path, rows in ranked_lists(answer, name):
        count = sum(isinstance(row, Mapping) for row in rows)
        if count:
            return LikelyRecords(path, count)
    return None


def value_at(answer: Any, path: Sequence[str]) -> Any:
    for part in path:
        answer = answer.get(part) if isinstance(answer, Mapping) else None
    return answer


def rows_at(answer: Any, path: Sequence[str]) -> list[Any]:
    rows = value_at(answer, path)
    return rows if isinstance(rows, list) else []


def scalars_in(answer: Any, deepest: int = 4) -> Iterator[tuple[Path, Any]]:
    """The values of an answer outside its lists, with their paths."""
    stack: list[tuple[Path, Any]] = [([], answer)]
    seen = 0
    while stack and seen < MOST_FIELDS:
        path, value = stack.pop()
        seen += 1
        if isinstance(value, Mapping):
            if len(path) < deepest:
                stack.extend(([*path, str(name)], inner) for name, inner in reversed(list(value.items())[:MOST_FIELDS]))
        elif not isinstance(value, list):
            yield path, value


def next_address(answer: Any) -> tuple[Path, str] | None:
    """The field with the address of the next page."""
    addresses: list[tuple[int, Path, str]] = []
    for path, value in scalars_in(answer):
        name = path[-1].lower() if path else ""
        if not isinstance(value, str) or not value.startswith(("http://", "https://", "/", "?")):
            continue
        inside = any("next" in part.lower() for part in path)
        if name in paging.NEXT_ADDRESSES and inside:
            addresses.append((len(path), path, value))
    return min(addresses, key=lambda entry: entry[0])[1:] if addresses else None


def next_cursors(answer: Any) -> list[tuple[Path, Any]]:
    """The fields that may hold the cursor of the next page, the most likely first."""
    candidates: list[tuple[int, int, Path, Any]] = []
    for path, value in scalars_in(answer):
        name = paging.plain_name(path[-1]) if path else ""
        if value in (None, "", False, True) or name not in paging.NEXT_CURSORS:
            continue
        if isinstance(value, str) and value.startswith(("http://", "https://")):
            continue
        candidates.append((paging.NEXT_CURSORS.index(name), len(path), path, value))
    return [(path, value) for _, _, path, value in sorted(candidates, key=lambda entry: entry[:2])]


def more_flag(answer: Any) -> Path | None:
    """The field that says whether there is a next page."""
    return flag(answer, paging.MORE_NAMES)


def end_flag(answer: Any) -> Path | None:
    """The field that says that a page is the last."""
    return flag(answer, paging.END_NAMES)


def flag(answer: Any, names: Sequence[str]) -> Path | None:
    for path, value in scalars_in(answer):
        if path and isinstance(value, bool) and paging.plain_name(path[-1]) in names:
            return path
    return None


def key_of(rows: Sequence[Any], name: str = "") -> str | None:
    """The field that identifies the records: present and different in all of them, `id` before other names."""
    objects = [row for row in rows if isinstance(row, Mapping)]
    if not objects:
        return None
    word = singular(snake(name))
    wanted = (
        "id",
        "uuid",
        f"{word}_id",
        f"{word}id",
        "_id",
        "gid",
        "guid",
        "key",
        "number",
        "slug",
        "code",
        "sha",
        "node_id",
        "iid",
        "name",
        "email",
    )
    fields = {snake(str(field)): str(field) for field in reversed(list(objects[0])) if isinstance(field, str)}
    fields["_id"] = "_id" if "_id" in objects[0] else ""
    for candidate in wanted:
        field = fields.get(candidate)
        if not field:
            continue
        values = [row.get(field) for row in objects]
        plain = all(isinstance(value, str | int) and not isinstance(value, bool) for value in values)
        if plain and len({(type(value), value) for value in values}) == len(values):
            return field
    return None

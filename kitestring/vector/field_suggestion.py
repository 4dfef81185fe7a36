"""Suggests which fields of a source a vector store should embed, and which it should keep as metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TEXTS = frozenset(
    {
        *("title", "subject", "headline", "question", "answer", "summary", "abstract", "description", "body"),
        *("content", "text", "comment", "message", "note", "notes", "transcript", "excerpt"),
    }
)
"""The last word of the name of a field that people wrote."""
RENDERED = frozenset({"html", "plain", "raw", "rendered", "markdown", "formatted"})
"""The first word of a second spelling of a text: `html_body` repeats `body`."""
METADATA = frozenset(
    {
        *("url", "link", "permalink", "status", "state", "type", "kind", "priority", "category", "section", "labels"),
        *("tags", "locale", "language", "author", "assignee", "organization", "product", "version", "channel"),
    }
)
"""The last word of the name of a field that people filter by."""
TITLES = frozenset({"title", "subject", "headline"})
"""The last word of the name of a text that is short enough to be shown with each chunk."""
TIMES = frozenset({"created", "updated", "modified", "published"})
MOST = 12
DEEPEST = 3


@dataclass(frozen=True, slots=True)
class FieldSuggestion:
    """Field paths as the processing options take them: `title`, `user.name`, `comments.*.body`."""

    fields: tuple[str, ...]
    text: tuple[str, ...]
    metadata: tuple[str, ...]


def suggest_fields(streams: Iterable[Mapping[str, Any]]) -> FieldSuggestion:
    """A suggestion for streams of a catalog of Airbyte's protocol; `fields` are all their fields, in their order."""
    every: dict[str, None] = {}
    text: dict[str, None] = {}
    metadata: dict[str, None] = {}
    for stream in streams:
        fields = dict(paths_of(stream.get("json_schema") or {}))
        every |= dict.fromkeys(fields)
        text |= dict.fromkeys(text_fields(fields))
        keys = [".".join(path) for path in stream.get("source_defined_primary_key") or ()]
        metadata |= dict.fromkeys(name for name in (*keys, *fields) if name in keys or is_metadata(name, fields[name]))
    titles = [name for name in text if "." not in name and TITLES.intersection(words(name)[-1:])]
    chosen = [*titles, *(name for name in metadata if name not in text)]
    ordered = [*titles, *(name for name in text if name not in titles)]
    return FieldSuggestion(tuple(every), tuple(ordered)[:MOST], tuple(chosen)[:MOST])


def paths_of(schema: Mapping[str, Any], outer: str = "", depth: int = 1) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The fields of a JSON Schema with their schemas; those of a list's items as `name.*.inner`."""
    for name, inner in (schema.get("properties") or {}).items():
        if not isinstance(inner, Mapping):
            continue
        path = f"{outer}{name}"
        yield path, inner
        if depth < DEEPEST:
            yield from paths_of(inner, f"{path}.", depth + 1)
            items = inner.get("items")
            if isinstance(items, Mapping):
                yield from paths_of(items, f"{path}.*.", depth + 1)


def text_fields(fields: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The fields with text that people wrote. Where no name tells one, none."""
    named = [name for name, schema in fields.items() if is_text(schema) and TEXTS.intersection(words(name)[-1:])]
    plain = set(named)
    return [name for name in named if not repeats(name, plain)]


def repeats(name: str, named: set[str]) -> bool:
    """Whether a field is another spelling of one that is there: `html_body` beside `body`."""
    outer, _, inner = name.rpartition(".")
    parts = words(inner)
    other = "_".join(parts[1:])
    return len(parts) > 1 and parts[0] in RENDERED and (f"{outer}.{other}" if outer else other) in named


def is_text(schema: Mapping[str, Any]) -> bool:
    """A string that is no date, address or choice."""
    return "string" in types_of(schema) and not schema.get("format") and not schema.get("enum")


def is_metadata(name: str, schema: Mapping[str, Any]) -> bool:
    if "." in name or types_of(schema) & {"object"}:
        return False
    parts = words(name)
    return bool(parts) and (parts[-1] in METADATA or parts[0] in TIMES)


def types_of(schema: Mapping[str, Any]) -> set[str]:
    kinds = schema.get("type")
    return set(map(str, kinds)) if isinstance(kinds, Sequence) and not isinstance(kinds, str) else {str(kinds)}


def words(name: str) -> list[str]:
    """`htmlBody`, `html_body` and `comments.*.html_body` end in the words `html` and `body`."""
    inner = name.rpartition(".")[2]
    return [part.lower() for part in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", inner)]

"""Compare the inputs of two versions of a manifest: whether a configuration of the one is one of the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.declarative.builder.version_change import VersionChange, brief, listing, types_of, widened
from kitestring.declarative.manifest import connection_specification

MARKS: Mapping[str, str] = {
    "title": "the title",
    "description": "the description",
    "order": "the place",
    "default": "the default",
    "examples": "the examples",
    "pattern": "the pattern",
}


def input_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[VersionChange]:
    """The changes of the inputs, and of the consent, between two resolved manifests."""
    was, now = (manifest["spec"] if isinstance(manifest.get("spec"), Mapping) else {} for manifest in (old, new))
    yield from property_changes("", connection_specification(old), connection_specification(new))
    for field in sorted({*was, *now} - {"type", "connection_specification", "documentation_url"}):
        if was.get(field) != now.get(field):
            values = brief(was.get(field)), brief(now.get(field))
            yield VersionChange(None, "input", field, *values, False, f"Changes {field.replace('_', ' ')}.")


def property_changes(
    path: str, old: Mapping[str, Any], new: Mapping[str, Any], depth: int = 0
) -> Iterator[VersionChange]:
    was, now = properties_of(old), properties_of(new)
    needed_before, needed = required_of(old), required_of(new)
    for name in dict.fromkeys([*was, *now]):
        place = f"{path}.{name}" if path else str(name)
        before, after = was.get(name), now.get(name)
        required = name in needed and not (isinstance(after, Mapping) and "default" in after)
        if name not in now:
            yield VersionChange(None, "input", place, types_of(before), None, False, f"The input {place} is gone.")
        elif name not in was:
            sentence = f"The input {place} is new{' and has to be filled in' if required else ''}."
            yield VersionChange(None, "input", place, None, types_of(after), required, sentence)
        else:
            if required and name not in needed_before:
                sentence = f"The input {place} has to be filled in."
                yield VersionChange(None, "input", place, "optional", "required", True, sentence)
            elif name in needed_before and name not in needed:
                sentence = f"The input {place} can be left empty."
                yield VersionChange(None, "input", place, "required", "optional", False, sentence)
            if before != after and isinstance(before, Mapping) and isinstance(after, Mapping):
                yield from option_changes(place, before, after, depth)


def option_changes(place: str, old: Mapping[str, Any], new: Mapping[str, Any], depth: int) -> Iterator[VersionChange]:
    """The changes of one input."""
    types, others = types_of(old), types_of(new)
    if types != others:
        sentence = f"The input {place} is {others or 'of any type'}, it was {types or 'of any type'}."
        yield VersionChange(None, "input", place, types, others, not widened(types, others), sentence)
    gone = [value for value in values_of(old) if value not in values_of(new)] if values_of(new) else []
    if gone:
        sentence = f"The input {place} no longer takes {', '.join(map(str, gone[:5]))}."
        yield VersionChange(None, "input", place, brief(values_of(old)), brief(values_of(new)), True, sentence)
    if bool(old.get("airbyte_secret")) != bool(new.get("airbyte_secret")):
        state = "is a secret" if new.get("airbyte_secret") else "is not a secret any more"
        marks = bool(old.get("airbyte_secret")), bool(new.get("airbyte_secret"))
        yield VersionChange(None, "input", place, *marks, False, f"The input {place} {state}.")
    for mark, words in MARKS.items():
        if old.get(mark) != new.get(mark):
            values = brief(old.get(mark)), brief(new.get(mark))
            yield VersionChange(None, "input", place, *values, False, f"Changes {words} of the input {place}.")
    if depth < 20:
        yield from branch_changes(place, old, new, depth)
        yield from property_changes(place, old, new, depth + 1)


def branch_changes(place: str, old: Mapping[str, Any], new: Mapping[str, Any], depth: int) -> Iterator[VersionChange]:
    """The changes of a choice: its branches are known by their constants."""
    was, now = branches_of(old), branches_of(new)
    for key in dict.fromkeys([*was, *now]):
        words = ", ".join(key) or "one without a constant"
        if key not in now:
            yield VersionChange(None, "input", place, words, None, True, f"The choice {words} of {place} is gone.")
        elif key not in was:
            yield VersionChange(None, "input", place, None, words, False, f"{place} has the new choice {words}.")
        elif was[key] != now[key]:
            yield from property_changes(place, was[key], now[key], depth + 1)


def branches_of(schema: Mapping[str, Any]) -> dict[tuple[str, ...], Mapping[str, Any]]:
    branches = listing(schema.get("oneOf")) or listing(schema.get("anyOf"))
    return {
        tuple(str(child["const"]) for child in properties_of(branch).values() if "const" in child): branch
        for branch in branches
    }


def values_of(schema: Mapping[str, Any]) -> list[Any]:
    """The values that an input takes; empty for any."""
    values = schema.get("enum")
    return values if isinstance(values, list) else [schema["const"]] if "const" in schema else []


def properties_of(schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    properties = schema.get("properties")
    items = properties.items() if isinstance(properties, Mapping) else ()
    return {str(name): child for name, child in items if isinstance(child, Mapping)}


def required_of(schema: Mapping[str, Any]) -> set[str]:
    required = schema.get("required")
    return {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()

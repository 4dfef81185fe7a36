"""Values as YAML that people edit: lists indented, small parts on one line, quotes only where they are needed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

PLAIN = re.compile(r"[A-Za-z_$](?:[\w./+~$()-]|:(?=[\w/])| (?=[\w(]))*", re.ASCII)
"""Texts that are the same without quotes, anywhere in YAML."""
WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"})
ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
LONGEST_FLOW = 100
"""Characters of a part that stays on one line."""
FLOW_TYPES = frozenset({"RequestOption", "RequestPath", "DpathExtractor", "CheckStream"})
"""Components that are written on one line."""


class Line(list[Any]):
    """A list that is written on one line."""


Path = tuple[str | int, ...]
Comments = dict[Path, list[str]]
"""Lines of comment above a value, by its path. The first value of an item of a list has none."""


def yaml_text(values: Mapping[str, Any], comments: Comments | None = None) -> str:
    """The text of plain JSON values."""
    return "\n".join(mapping_lines(values, "", (), comments or {})) + "\n"


def mapping_lines(values: Mapping[str, Any], indent: str, path: Path, comments: Comments) -> Iterator[str]:
    for name, value in values.items():
        inner = (*path, str(name))
        yield from (f"{indent}# {line}" for line in comments.get(inner, ()))
        key = f"{indent}{scalar(str(name))}:"
        if not is_commented(inner, comments) and (flow := flow_text(value)) is not None:
            yield f"{key} {flow}"
        elif isinstance(value, str):
            yield f"{key} {'|' if value.endswith(chr(10)) else '|-'}"
            yield from (f"{indent}  {line}".rstrip() for line in value.removesuffix("\n").split("\n"))
        elif isinstance(value, Mapping):
            yield key
            yield from mapping_lines(value, f"{indent}  ", inner, comments)
        else:
            yield key
            yield from list_lines(value, f"{indent}  ", inner, comments)


def list_lines(values: list[Any], indent: str, path: Path, comments: Comments) -> Iterator[str]:
    for number, value in enumerate(values):
        inner = (*path, number)
        if (flow := flow_text(value)) is not None:
            yield f"{indent}- {flow}"
        elif isinstance(value, Mapping):
            first, *rest = mapping_lines(value, f"{indent}  ", inner, comments)
            yield f"{indent}- {first.lstrip(' ')}"
            yield from rest
        elif isinstance(value, list):
            first, *rest = list_lines(value, f"{indent}  ", inner, comments)
            yield f"{indent}- {first.lstrip(' ')}"
            yield from rest
        else:
            yield f"{indent}- {quoted(str(value))}"


def is_commented(path: Path, comments: Comments) -> bool:
    """Whether a value inside the value at this path has a comment, so that it takes several lines."""
    return any(len(inner) > len(path) and inner[: len(path)] == path for inner in comments)


def flow_text(value: Any) -> str | None:
    """A value on one line; None where it takes several."""
    if isinstance(value, Mapping):
        if not value:
            return "{}"
        kind = value.get("type")
        small = set(value) == {"$ref"} or not isinstance(kind, str) or kind in FLOW_TYPES or not kind[:1].isupper()
        parts = [flow_text(inner) for inner in value.values()] if small and is_leaf(value) else [None]
        if any(part is None for part in parts):
            return None
        text = "{" + ", ".join(f"{scalar(str(name))}: {part}" for name, part in zip(value, parts, strict=True)) + "}"
        return text if len(text) <= LONGEST_FLOW else None
    if isinstance(value, list):
        if not value:
            return "[]"
        if any(isinstance(item, Mapping | list) for item in value):
            return None
        text = "[" + ", ".join(scalar(item) for item in value) + "]"
        return text if isinstance(value, Line) or len(text) <= LONGEST_FLOW else None
    if isinstance(value, str) and is_block(value):
        return None
    return scalar(value)


def is_leaf(values: Mapping[str, Any]) -> bool:
    """Whether an object holds no other object with something in it, and none that is about to get fields."""
    return "properties" not in values and not any(isinstance(inner, Mapping) and inner for inner in values.values())


def is_block(text: str) -> bool:
    """Whether a text of several lines can be written as a block."""
    lines = text.removesuffix("\n").split("\n")
    return (
        len(lines) > 1
        and bool(lines[0].strip())
        and not lines[0].startswith((" ", "\t"))
        and bool(lines[-1])
        and all(line.isprintable() and line == line.rstrip() for line in lines)
    )


def scalar(value: Any) -> str:
    """A scalar: a text without quotes where it is the same so."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in WORDS:
        return value
    if isinstance(value, str):
        return quoted(value)
    from kitestring import json_codec

    return json_codec.dumps_text(value)


def quoted(text: str) -> str:
    """A text in double quotes."""
    return '"' + "".join(character(item) for item in text) + '"'


def character(item: str) -> str:
    if item in ESCAPES:
        return ESCAPES[item]
    if item.isprintable():
        return item
    code = ord(item)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

"""Format a manifest's YAML text: order of its parts, blank lines and spaces; comments and values stay."""

from __future__ import annotations

import re

from kitestring.declarative.manifest import parse

ORDER = ("version", "type", "description", "check", "concurrency_level", "api_budget", "definitions", "streams")
LAST = ("dynamic_streams", "schemas", "spec", "metadata")
KEY = re.compile(r"^([A-Za-z_$][\w$-]*|\"[^\"]*\"|'[^']*')\s*:")


def formatted(text: str) -> str:
    """Format the text: top-level parts in the usual order, one blank line between parts, no trailing spaces, a newline
    at the end. A step that would change a value or break an anchor is skipped, so the values stay the same;
    indentation and quotes stay too. Raises `ConfigError` if the text is not YAML.
    """
    values = parse(text)

    def same(new: str) -> bool:
        try:
            return bool(parse(new) == values)
        except Exception:  # noqa: BLE001 - any error of the parser skips this step
            return False

    for step in (normalize_newlines, strip_line_ends, sort_parts, set_blank_lines):
        new = step(text)
        if new != text and same(new):
            text = new
    return text


def normalize_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")


def strip_line_ends(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.split("\n"))


def blocks(text: str) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Split into the lines before the first key, and each top-level key with its lines and the comments above it."""
    head: list[str] = []
    parts: list[tuple[str, list[str]]] = []
    waiting: list[str] = []
    for line in text.rstrip("\n").split("\n"):
        match = KEY.match(line)
        if match:
            if not parts and waiting:  # comments above a blank line belong to the file
                cut = max((i + 1 for i, comment in enumerate(waiting) if not comment.strip()), default=0)
                head, waiting = waiting[:cut], waiting[cut:]
            parts.append((match[1].strip("\"'"), [*waiting, line]))
            waiting = []
        elif not line.strip() or line.startswith("#"):
            waiting.append(line)
        elif parts:
            parts[-1][1].extend([*waiting, line])
            waiting = []
        else:
            head.extend([*waiting, line])
            waiting = []
    if waiting and any(line.strip() for line in waiting):
        parts.append(("", waiting)) if parts else head.extend(waiting)
    return head, parts


def rank(name: str) -> int:
    if name in ORDER:
        return ORDER.index(name)
    if name in LAST:
        return 100 + LAST.index(name)
    return 1000 if not name else 50


def sort_parts(text: str) -> str:
    head, parts = blocks(text)
    lines = list(head)
    for _, block in sorted(parts, key=lambda item: rank(item[0])):
        lines.extend(block)
    return "\n".join(lines) + "\n"


def set_blank_lines(text: str) -> str:
    """Put a blank line before every part of several lines, none at the start, and one newline at the end."""
    head, parts = blocks(text)
    lines = strip_blank_lines(head)
    before = True
    for _, block in parts:
        block = strip_blank_lines(block)
        large = len(block) > 1
        if lines and (large or before):
            lines.append("")
        lines.extend(block)
        before = large
    return "\n".join(lines).strip("\n") + "\n"


def strip_blank_lines(lines: list[str]) -> list[str]:
    first = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    last = next((i for i in range(len(lines), 0, -1) if lines[i - 1].strip()), 0)
    return lines[first:last]

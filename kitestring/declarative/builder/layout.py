"""The layout of a manifest's YAML text: order of its parts, blank lines and spaces; comments and values stay."""

from __future__ import annotations

import re

from kitestring.declarative.manifest import parse

ORDER = ("version", "type", "description", "check", "concurrency_level", "api_budget", "definitions", "streams")
LAST = ("dynamic_streams", "schemas", "spec", "metadata")
KEY = re.compile(r"^([A-Za-z_$][\w$-]*|\"[^\"]*\"|'[^']*')\s*:")


def formatted(text: str) -> str:
    """The text with its top-level parts in the usual order, one blank line between those that need one, no trailing
    spaces, and a newline at the end. Each step that would change a value or break an anchor is left out, so the values
    are the same before and after; indentation and quotes stay as they are written. `ConfigError` where it is no YAML.
    """
    values = parse(text)

    def same(new: str) -> bool:
        try:
            return bool(parse(new) == values)
        except Exception:  # noqa: BLE001 - whatever the parser says: this step is left out
            return False

    for step in (plain_ends, trimmed, ordered, spaced):
        new = step(text)
        if new != text and same(new):
            text = new
    return text


def plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")


def trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.split("\n"))


def blocks(text: str) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The lines before the first key, and every top-level key with its lines; comments above a key belong to it."""
    head: list[str] = []
    found: list[tuple[str, list[str]]] = []
    waiting: list[str] = []
    for line in text.rstrip("\n").split("\n"):
        match = KEY.match(line)
        if match:
            if not found and waiting:  # what is above a blank line is about the file
                cut = max((i + 1 for i, one in enumerate(waiting) if not one.strip()), default=0)
                head, waiting = waiting[:cut], waiting[cut:]
            found.append((match[1].strip("\"'"), [*waiting, line]))
            waiting = []
        elif not line.strip() or line.startswith("#"):
            waiting.append(line)
        elif found:
            found[-1][1].extend([*waiting, line])
            waiting = []
        else:
            head.extend([*waiting, line])
            waiting = []
    if waiting and any(line.strip() for line in waiting):
        found.append(("", waiting)) if found else head.extend(waiting)
    return head, found


def rank(name: str) -> int:
    if name in ORDER:
        return ORDER.index(name)
    if name in LAST:
        return 100 + LAST.index(name)
    return 1000 if not name else 50


def ordered(text: str) -> str:
    head, found = blocks(text)
    lines = list(head)
    for _, block in sorted(found, key=lambda item: rank(item[0])):
        lines.extend(block)
    return "\n".join(lines) + "\n"


def spaced(text: str) -> str:
    """A blank line before every part of more than one line, none at the beginning, one newline at the end."""
    head, found = blocks(text)
    lines = stripped(head)
    before = True
    for _, block in found:
        block = stripped(block)
        large = len(block) > 1
        if lines and (large or before):
            lines.append("")
        lines.extend(block)
        before = large
    return "\n".join(lines).strip("\n") + "\n"


def stripped(lines: list[str]) -> list[str]:
    first = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    last = next((i for i in range(len(lines), 0, -1) if lines[i - 1].strip()), 0)
    return lines[first:last]

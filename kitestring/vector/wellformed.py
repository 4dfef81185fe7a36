"""Text that UTF-8 can hold."""

from __future__ import annotations

from typing import Any


def without_surrogates(text: str) -> str:
    """`text` with every lone surrogate replaced by U+FFFD: neither UTF-8 nor any store can hold one."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        # A pair that was split in two code points is put together on the way.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def well_formed(value: Any) -> Any:
    """A JSON value without lone surrogates at any depth."""
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, dict):
        return {without_surrogates(str(name)): well_formed(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [well_formed(inner) for inner in value]
    return value

"""Texts of records for a terminal."""

from __future__ import annotations

import re

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """The text with U+FFFD for control characters, tabs and ends of lines excepted. A terminal obeys them, and
    strangers wrote the records: a ticket could rename the window, or hide the next line."""
    return CONTROL.sub("\ufffd", text)

"""The page of the write modes and the modes of the web interface are made of the one table.

KITESTRING_GOLDEN=1 writes them.
"""

from __future__ import annotations

import json
import os
import re
from itertools import product
from pathlib import Path
from typing import Any

from kitestring.airbyte.modes import MODES, WRITES
from kitestring.testing.write_table import EVENTS, TRUNCATE, left_by
from kitestring.types import Write

INTERFACE = Path(__file__).parent.parent / "kitestring" / "ui" / "src" / "modes.json"
PAGE = Path(__file__).parent.parent / "docs" / "reference" / "write-modes.md"
YES = {True: "yes", False: "no"}


def words() -> list[str]:
    rows = ["| `write_mode` | replace | keep | deletes |", "|---|---|---|---|"]
    return rows + [f"| `{word}` | {YES[w.replace]} | {w.keep} | {w.deletes} |" for word, w in WRITES.items()]


def modes() -> list[str]:
    rows = ["| sync mode of a connection | reads | writes as |", "|---|---|---|"]
    return rows + [f"| `{mode.name}` | {mode.reads.value} | `{mode.writes}` |" for mode in MODES.values()]


def table() -> list[str]:
    rows = ["| replace | keep | deletes | content afterwards | after a Truncate |", "|---|---|---|---|---|"]
    choices: Any = product((False, True), ("all", "latest"), ("remove", "mark", "keep"))
    for replace, keep, deletes in choices:
        try:
            left, after_truncate = (left_by(Write(replace, keep, deletes), syncs) for syncs in (EVENTS, TRUNCATE))
        except ValueError:
            displayed = "refused: a deletion names one record, and `keep: all` holds several of a key |"
        else:
            record = "~~{} {}~~" if deletes == "mark" else "{} {} (deletion)"
            displayed = " | ".join(
                ", ".join(record.format(key, text) if removed else f"{key} {text}" for key, text, removed in rows_left)
                for rows_left in (left, after_truncate)
            )
        rows.append(f"| {YES[replace]} | {keep} | {deletes} | {displayed} |")
    return rows


def test_the_page_of_the_write_modes_shows_the_table_that_is_run() -> None:
    page = PAGE.read_text("utf-8")
    expected = page
    for name, rows in (("words", words()), ("modes", modes()), ("table", table())):
        block = "\n".join([f"<!-- {name} -->", *rows])
        expected = re.sub(rf"<!-- {name} -->(\n\|[^\n]*)*", lambda _, block=block: block, expected)
    if os.environ.get("KITESTRING_GOLDEN"):
        PAGE.write_text(expected, "utf-8")
    assert page == expected


def test_the_web_interface_has_the_table_of_modes() -> None:
    rows = [
        {
            "name": mode.name,
            "reads": mode.reads.value,
            "writes": mode.writes,
            "title": mode.title,
            "note": mode.note,
            "needsKey": mode.needs_key,
        }
        for mode in MODES.values()
    ]
    expected = json.dumps(rows, indent=2) + "\n"
    if os.environ.get("KITESTRING_GOLDEN"):
        INTERFACE.write_text(expected, "utf-8")
    assert INTERFACE.read_text("utf-8") == expected

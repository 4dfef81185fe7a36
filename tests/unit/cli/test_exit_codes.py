"""The exit codes of commands, as the documentation has them."""

from __future__ import annotations

import re
from pathlib import Path

from kitestring.cli import ending

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "delivery.md"
NAMES = {
    "`succeeded`": ending.SUCCEEDED,
    "`failed`": ending.FAILED,
    "`failed`, refused": ending.REFUSED,
    "`suspicious`": ending.SUSPICIOUS,
    "(changes)": ending.CHANGES,
    "`cancelled`": ending.CANCELLED,
}


def test_the_table_of_exit_codes_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| (.+?) \| .+? \| (\d+) \|$", PAGE.read_text(), re.MULTILINE)
    assert {name: int(code) for name, code in rows} == NAMES
    assert len(set(NAMES.values())) == len(NAMES)


def test_the_gravest_of_several_codes_counts_in_the_order_of_the_page() -> None:
    order = [int(code) for code in re.findall(r"\d+", PAGE.read_text().split("the gravest counts:")[1].split(".")[0])]
    for number, code in enumerate(order):
        assert ending.worst([*order[number:], ending.SUCCEEDED]) == code

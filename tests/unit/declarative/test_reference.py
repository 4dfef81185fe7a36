"""The reference of the language is complete: keywords, functions and filters."""

from __future__ import annotations

import re
from pathlib import Path

from kitestring.declarative import macro
from kitestring.declarative.keyword import keywords

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "declarative.md"


def test_every_keyword_has_a_section_and_no_section_is_left_over() -> None:
    sections = re.findall(r"^### `(\w+)`$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(sections) == sorted(keywords())


def test_every_function_and_filter_is_named() -> None:
    text = PAGE.read_text("utf-8")
    assert not [name for name in [*macro.FUNCTIONS, *macro.FILTERS] if f"`{name}`" not in text]


def test_every_keyword_says_what_it_is() -> None:
    assert not [name for name, meaning in keywords().items() if not (meaning.__doc__ or "").strip()]

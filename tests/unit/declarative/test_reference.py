"""The language is whole: each keyword and field is known, has a golden case, and stands in the reference.

`tests/golden/language.json` holds the names of the language's keywords and their fields, as of one version of
airbyte-cdk.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from case import cases

from kitestring.declarative import macro
from kitestring.declarative.builder.resolution import add_types
from kitestring.declarative.builder.validation import NESTED
from kitestring.declarative.keyword import keywords
from kitestring.declarative.manifest import resolve

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "declarative.md").read_text("utf-8")
LANGUAGE: dict[str, list[str]] = json.loads((ROOT / "tests" / "golden" / "language.json").read_bytes())["fields"]
TYPELESS = {"AuthFlow": "advanced_auth", "OAuthConfigSpecification": "oauth_config_specification"}
"""Words that stand in manifests without a type, by the field that they stand in."""


def sections() -> dict[str, str]:
    parts = re.split(r"^### `(\w+)`$", PAGE, flags=re.MULTILINE)
    return {name: text.partition("\n## ")[0] for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def used() -> Iterator[tuple[str, str]]:
    """Every keyword and field that a golden case has; what is only defined does not count."""

    def walk(node: Any, field: str) -> Iterator[tuple[str, str]]:
        if isinstance(node, list):
            for item in node:
                yield from walk(item, field)
        elif isinstance(node, dict):
            kinds = [node.get("type"), *(word for word, place in TYPELESS.items() if place == field)]
            for name, value in node.items():
                yield from ((kind, name) for kind in kinds if isinstance(kind, str))
                if name != "definitions":
                    yield from walk(value, name)

    for case in cases():
        yield from walk(add_types(resolve(case.manifest), "", {}), "")


def test_every_word_of_the_language_is_known() -> None:
    assert not LANGUAGE.keys() - keywords().keys() - NESTED


@pytest.mark.slow
def test_every_field_of_the_language_has_a_golden_case() -> None:
    result = set(used())
    missing = [f"{kind}.{name}" for kind, names in LANGUAGE.items() for name in names if (kind, name) not in result]
    assert missing == ["RequestBodyGraphQlQuery.query"]  # it stands in a value, without a type


@pytest.mark.slow
def test_every_keyword_has_a_golden_case() -> None:
    assert not keywords().keys() - {kind for kind, _ in used()}


def test_every_keyword_has_a_section_and_no_section_is_left_over() -> None:
    assert sorted(sections()) == sorted(keywords().keys() | LANGUAGE.keys() - {"RequestBodyGraphQlQuery"})


def test_every_field_is_named_in_the_section_of_its_keyword() -> None:
    result = sections()
    missing = [
        f"{kind}.{name}"
        for kind, names in LANGUAGE.items()
        for name in names
        if kind in result and f"`{name}`" not in result[kind]
    ]
    assert not missing


def test_every_function_and_filter_is_named() -> None:
    assert not [name for name in [*macro.FUNCTIONS, *macro.FILTERS] if f"`{name}`" not in PAGE]


def test_every_keyword_says_what_it_is() -> None:
    assert not [name for name, meaning in keywords().items() if not (meaning.__doc__ or "").strip()]

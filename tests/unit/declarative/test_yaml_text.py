"""YAML as it is written for people: every value is read back as it was, and common parts look as one writes them."""

from __future__ import annotations

import random
from typing import Any

import pytest
import yaml

from kitestring.declarative.builder.yaml_text import Line, yaml_text

TEXTS = [
    *("", " ", "a", "a b", " a", "a ", "true", "Yes", "NO", "null", "~", "1", "1.5", "0x1f", "1e3", ".inf"),
    *("a: b", "a:b", "a #b", "#a", "- a", "-a", "? a", "[a]", "{a}", "a, b", "*a", "&a", "!a", "|", ">", "%a"),
    *("it's", 'say "x"', "back\\slash", "{{ config['x'] }}", "https://a.example/x?y=z&w=1", "a\tb", "a\nb", "a\nb\n"),
    *("a\n\nb", "a \nb", " a\nb", "\na", "a\n\n", "a\r\nb", "\x7f", "\x85", "\u2028", "\ufeff", "é", "日本", "😀"),
    *("=", "<<", "y", "n", "on", "012", "1_000", "12:30:45", "a:", ":a", "--- a", "...", "a: ", "$ref", "#/x/y"),
    *("@a", "`a", "2024-01-01", "a\u00a0b"),
]


@pytest.mark.parametrize("text", TEXTS)
def test_every_text_is_read_back_as_it_was(text: str) -> None:
    values = {"x": text, "list": [text, [text, text]], "map": {text: text, "in": {text: [text]}}, "line": Line([text])}
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):
        assert yaml.load(yaml_text(values), loader) == values


@pytest.mark.parametrize("seed", range(100))
def test_every_value_is_read_back_as_it_was(seed: int) -> None:
    chance = random.Random(seed)

    def value(depth: int) -> Any:
        kind = chance.randrange(8 if depth else 5)
        if kind < 3:
            return chance.choice(TEXTS)
        if kind < 5:
            return chance.choice([None, True, False, 0, -7, 10**30, 1.5, -2.5e-7])
        if kind == 5:
            return [value(depth - 1) for _ in range(chance.randrange(4))]
        return {chance.choice(TEXTS): value(depth - 1) for _ in range(chance.randrange(5))}

    values = {f"k{n}": value(4) for n in range(5)}
    assert yaml.safe_load(yaml_text(values)) == values


def test_common_parts_look_as_people_write_them() -> None:
    values = {
        "requester": {"$ref": "#/definitions/requester", "path": "v1/things", "url_base": "https://a.example"},
        "option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "page"},
        "properties": {"id": {"type": "integer"}, "name": {"type": ["null", "string"]}},
        "query": "{\n  things\n}",
        "steps": [{"type": "AddFields", "fields": [{"path": ["a"], "value": "{{ 1 }}"}]}],
        "empty": {"list": [], "object": {}},
    }
    assert (
        yaml_text(values)
        == """requester: {$ref: "#/definitions/requester", path: v1/things, url_base: https://a.example}
option: {type: RequestOption, inject_into: request_parameter, field_name: page}
properties:
  id: {type: integer}
  name: {type: ["null", string]}
query: |-
  {
    things
  }
steps:
  - type: AddFields
    fields:
      - {path: [a], value: "{{ 1 }}"}
empty: {list: [], object: {}}
"""
    )

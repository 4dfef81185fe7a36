"""The data of the language, for forms and editors, is that of the engine and of the reference."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from test_reference import LANGUAGE, sections

from kitestring.declarative.builder.language import language
from kitestring.declarative.builder.validation import MANIFEST_FIELDS, NESTED, REQUIRED_FIELDS
from kitestring.declarative.keyword import keywords
from kitestring.declarative.manifest import CUSTOM_TYPES, DEFAULT_TYPES, References, parse

COMPONENTS: dict[str, Any] = language()["components"]  # type: ignore[assignment]
MANIFESTS = Path(__file__).parents[3] / "kitestring" / "sources" / "manifests"
NAMELESS = {"SchemaNormalization"}
"""Words of the language that are a list of values, not a component."""
VALUE_TYPES = {"text", "template", "number", "integer", "boolean", "value", "object", "schema", "key"}
"""Types of fields that are not components; `language.yaml` says what each is."""


def leaves(kind: Any) -> Iterator[Any]:
    """The names and enumerations in the type of a field."""
    if isinstance(kind, Mapping) and "enum" not in kind:
        for inner in (*kind.get("any", ()), *(kind[name] for name in ("list", "map") if name in kind)):
            yield from leaves(inner)
    else:
        yield kind


def all_fields() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, component in COMPONENTS.items():
        for field, facts in component["fields"].items():
            yield name, field, facts


def test_every_keyword_of_the_engine_is_a_component() -> None:
    known = {name for name, component in COMPONENTS.items() if not component.get("python")}
    assert sorted((keywords().keys() | NESTED) - NAMELESS - known) == []
    extra = {name for name in known if not COMPONENTS[name].get("typeless")}
    assert sorted(extra - keywords().keys() - NESTED) == []


def test_every_field_of_the_language_and_of_the_reference_is_there() -> None:
    missing = [f"{name}.{field}" for name, fields in LANGUAGE.items() for field in fields if name not in NAMELESS
               and field not in COMPONENTS[name]["fields"]]  # fmt: skip
    assert missing == []
    for name, text in sections().items():
        named = set(re.findall(r"`(\w+)`", text))
        if name in COMPONENTS and name != "DeclarativeSource":
            assert sorted(COMPONENTS[name]["fields"].keys() - named) == [], (
                f"the reference does not name them in {name}"
            )


def test_the_fields_of_a_manifest_are_those_of_its_component() -> None:
    inner = {name for name in MANIFEST_FIELDS if not name.startswith("__")}
    assert inner - {"type"} == set(COMPONENTS["DeclarativeSource"]["fields"])


def test_what_building_needs_is_required() -> None:
    for name, fields in REQUIRED_FIELDS.items():
        required = {field for field, facts in COMPONENTS[name]["fields"].items() if facts.get("required")}
        assert set(fields) == required, name


def test_every_type_is_known_and_every_component_is_used() -> None:
    used: set[str] = {"DeclarativeSource"}
    for name, field, facts in all_fields():
        for leaf in leaves(facts["type"]):
            if isinstance(leaf, str):
                assert leaf in VALUE_TYPES or leaf in COMPONENTS, f"{name}.{field}: {leaf}"
                used.add(leaf)
            else:
                assert leaf.keys() == {"enum"}
                assert leaf["enum"]
    assert sorted(COMPONENTS.keys() - used) == []


def test_the_type_of_a_component_without_one_can_stand_in_its_field() -> None:
    for table in (DEFAULT_TYPES, CUSTOM_TYPES):
        for place, kind in table.items():
            name, _, field = place.partition(".")
            if name in COMPONENTS and field in COMPONENTS[name]["fields"] and kind in COMPONENTS:
                assert kind in leaves(COMPONENTS[name]["fields"][field]["type"]), place


def test_every_component_and_field_has_a_sentence_of_its_own() -> None:
    for name, component in COMPONENTS.items():
        assert component["summary"].endswith("."), name
    for name, field, facts in all_fields():
        assert facts["summary"].endswith("."), f"{name}.{field}"
        assert len(facts["summary"]) < 130


def test_what_our_manifests_have_is_in_the_language() -> None:
    unknown: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, list):
            for item in node:
                walk(item)
        elif isinstance(node, dict):
            kind = node.get("type")
            if isinstance(kind, str) and kind in COMPONENTS:
                facts = COMPONENTS[kind]["fields"]
                for name, value in node.items():
                    if name in ("type", "$parameters", "definitions", "metadata"):
                        continue
                    if name not in facts:
                        unknown.add(f"{kind}.{name}")
                    elif not {"schema", "object"} & set(map(str, leaves(facts[name]["type"]))):
                        walk(value)

    for path in sorted(MANIFESTS.glob("*.yaml")):
        raw = parse(path.read_text(encoding="utf-8"))
        walk(References(raw).resolve(raw, ""))
    assert sorted(unknown) == []


def test_it_is_plain_json() -> None:
    assert json.loads(json.dumps(language())) == language()

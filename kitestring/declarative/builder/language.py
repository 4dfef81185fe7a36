"""The components of the low-code language with their fields, as data for forms and editors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from kitestring.declarative.manifest import CUSTOM_TYPES, DEFAULT_TYPES


@cache
def language() -> Mapping[str, Any]:
    """The language: `components` by name, each with its fields; and the types that a component without `type` has, by
    `Component.field`: `defaultTypes`, or `customTypes` where it names a Python class."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (Path(__file__).parent / "language.yaml").read_text(encoding="utf-8")
    components = yaml.load(text, Loader=loader)  # noqa: S506 - both loaders are safe ones
    for component in components.values():
        component.setdefault("fields", {})
    return {"components": components, "defaultTypes": DEFAULT_TYPES, "customTypes": CUSTOM_TYPES}

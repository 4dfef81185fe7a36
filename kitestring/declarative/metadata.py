"""The `metadata` of a manifest: the facts that a Python connector declares in its class."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kitestring.declarative.manifest import load, needs_python, parse
from kitestring.errors import ConfigError
from kitestring.facts import Facts, Proposal

BLOCK = re.compile(r"^metadata:[ \t]*(?:#.*)?\n((?:(?:[ \t#].*)?\n)*)", re.MULTILINE)


def facts_of(path: Path) -> Facts:
    """The facts of the manifest in a file. A manifest that needs Python code runs as a program of its own."""
    metadata = metadata_of(path)
    code = needs_python(path)
    return Facts(
        title=text(metadata, "title"),
        network="native" if code else "python",
        programs=code,
        icon=text(metadata, "icon"),
        category=text(metadata, "category"),
        docs=text(metadata, "docs"),
        summary=text(metadata, "summary"),
        oauth=mapping(metadata, "oauth"),
        proposal=proposal_of(metadata),
    )


def metadata_of(path: Path) -> Mapping[str, Any]:
    """The block `metadata`, parsed alone if possible: a list of connectors reads it from every manifest."""
    try:
        match = BLOCK.search(path.read_text("utf-8"))
        manifest = parse(match[0], path.name) if match else load(path)
    except (OSError, UnicodeDecodeError, ConfigError):
        return {}  # `load` reports the error
    metadata = manifest.get("metadata") if isinstance(manifest, Mapping) else None
    return metadata if isinstance(metadata, Mapping) else {}


def proposal_of(metadata: Mapping[str, Any]) -> Proposal:
    values = mapping(metadata, "proposal")
    return Proposal(
        config=text(values, "config"),
        name=text(values, "name"),
        collection=text(values, "collection"),
        streams=texts(values, "streams"),
        text_fields=texts(values, "text_fields"),
        metadata_fields=texts(values, "metadata_fields"),
    )


def mapping(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = values.get(name)
    return value if isinstance(value, Mapping) else {}


def text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""


def texts(values: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = values.get(name)
    return tuple(str(item) for item in value) if isinstance(value, list) else ()

"""The Python components that a manifest carries with it: the text of a `components.py` in its `metadata.components_py`.

The CDK's language leaves `metadata` to whoever uses a manifest, so that such a manifest stays one of Airbyte's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.declarative.manifest import python_classes
from kitestring.errors import ConfigError

FIELD = "components_py"
"""The field of `metadata` with the text."""
CLASS = re.compile(r"(?:source_declarative_manifest\.)?components\.[A-Za-z_]\w*")
"""Names of classes in that text, as the CDK resolves them."""


def components_text(manifest: Any) -> str | None:
    """The text of a manifest's Python components; None without any."""
    metadata = manifest.get("metadata") if isinstance(manifest, Mapping) else None
    text = metadata.get(FIELD) if isinstance(metadata, Mapping) else None
    return text if isinstance(text, str) and text else None


def digest_of(text: str) -> str:
    """The SHA-256 of a components text in UTF-8, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def is_run_by_cdk(resolved: Mapping[str, Any]) -> bool:
    """Whether a resolved manifest has Python components, and carries their text."""
    return components_text(resolved) is not None and any(True for _ in python_classes(resolved))


def missing_classes(resolved: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The classes of a resolved manifest that its own text cannot hold, and their paths."""
    own = components_text(resolved) is not None
    for name, place in python_classes(resolved):
        if not (own and CLASS.fullmatch(name)):
            yield name, place


def check_scope(resolved: Mapping[str, Any]) -> None:
    """`ConfigError` where a manifest asks the CDK for code or files beyond the text that it carries."""
    for name, place in missing_classes(resolved):
        raise ConfigError(
            f"{place} names the Python class {name}, and the manifest may use classes of its own components only",
            hint="Write the class into the components, and name it components.CLASS.",
            place=place,
        )
    for place in file_loaders(resolved, ""):
        raise ConfigError(
            f"{place} reads its schema from a file, and a manifest with Python components may read no files",
            hint="Use an InlineSchemaLoader.",
            place=place,
        )


def file_loaders(node: Any, place: str) -> Iterator[str]:
    """The places of the loaders that read a schema from a file."""
    if isinstance(node, Mapping):
        if node.get("type") == "JsonFileSchemaLoader":
            yield place or "the manifest"
        for name, value in node.items():
            if name != "metadata":
                yield from file_loaders(value, f"{place}.{name}" if place else str(name))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from file_loaders(value, f"{place}[{index}]")

"""The low-code language: Airbyte manifests, run as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kitestring.declarative.source import DeclarativeSource, manifest_spec

__all__ = ["DeclarativeSource", "manifest_spec"]


def __getattr__(name: str) -> Any:
    """Public names are imported at first use: a session that reads no manifest does not load the language."""
    if name in __all__:
        from kitestring.declarative import source

        return getattr(source, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

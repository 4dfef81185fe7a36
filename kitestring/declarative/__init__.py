"""The low-code language: run Airbyte manifests unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kitestring.declarative.source import DeclarativeSource, manifest_spec

__all__ = ["DeclarativeSource", "manifest_spec"]


def __getattr__(name: str) -> Any:
    """Import public names at first use, so that programs without a manifest do not load the language."""
    if name in __all__:
        from kitestring.declarative import source

        return getattr(source, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

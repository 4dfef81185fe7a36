"""Functions for a visual builder: each does one action on a manifest and returns plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kitestring.declarative.builder.beginning import Beginning, begin
    from kitestring.declarative.builder.doctor import Finding, examine
    from kitestring.declarative.builder.inference import infer_schema
    from kitestring.declarative.builder.layout import formatted
    from kitestring.declarative.builder.preview import Reading, read, read_events
    from kitestring.declarative.builder.proposals import Proposals, propose
    from kitestring.declarative.builder.resolution import resolved
    from kitestring.declarative.builder.starter import draft
    from kitestring.declarative.builder.validation import Defect, validate

MODULES = {
    "Beginning": "beginning",
    "begin": "beginning",
    "Defect": "validation",
    "Finding": "doctor",
    "Proposals": "proposals",
    "Reading": "preview",
    "propose": "proposals",
    "read_events": "preview",
    "draft": "starter",
    "examine": "doctor",
    "formatted": "layout",
    "infer_schema": "inference",
    "read": "preview",
    "resolved": "resolution",
    "validate": "validation",
}
__all__ = [
    "Beginning",
    "Defect",
    "Finding",
    "Proposals",
    "Reading",
    "begin",
    "draft",
    "examine",
    "formatted",
    "infer_schema",
    "propose",
    "read",
    "read_events",
    "resolved",
    "validate",
]


def __getattr__(name: str) -> Any:
    """Import names at first use: running a manifest does not load the builder."""
    if name in MODULES:
        import importlib

        return getattr(importlib.import_module(f"{__name__}.{MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Splits texts into chunks that fit the embedding model."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """The class of `splitter.py`, which was `kitestring.vector.split` once."""
    if name == "Splitter":
        import warnings

        from kitestring.moved import REMOVED_IN
        from kitestring.vector.split import splitter

        message = f"Splitter is now in kitestring.vector.split.splitter; the old name goes in {REMOVED_IN}"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return splitter.Splitter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The stream that a thread works for: for messages of code that waits on its behalf, and for `activity`."""

from __future__ import annotations

from contextvars import ContextVar

STREAM: ContextVar[str] = ContextVar("kitestring_stream", default="")
"""The stream's key; empty outside a sync."""

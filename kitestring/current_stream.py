"""The stream that a thread reads, for the messages of code that waits on its behalf."""

from __future__ import annotations

from contextvars import ContextVar

STREAM: ContextVar[str] = ContextVar("kitestring_stream", default="")
"""The stream's key; empty outside a read."""

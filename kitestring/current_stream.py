"""The stream that a thread reads, so that whoever waits on its behalf can say for which."""

from __future__ import annotations

from contextvars import ContextVar

STREAM: ContextVar[str] = ContextVar("kitestring_stream", default="")
"""The stream's key; empty outside a read."""

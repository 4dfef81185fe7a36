"""Fixtures: a loopback API, and sources that are closed in the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from loopback import Api, Open, manifest, serving

from kitestring.declarative import DeclarativeSource


@pytest.fixture
def api() -> Iterator[Api]:
    with serving() as server:
        yield server


@pytest.fixture
def open_source() -> Iterator[Open]:
    """Builds sources and closes them in the end: `open_source(stream, stream, config={...}, spec=...)`."""
    opened: list[DeclarativeSource] = []

    def build(*streams: dict[str, Any], config: dict[str, Any] | None = None, **more: Any) -> DeclarativeSource:
        opened.append(DeclarativeSource.of(manifest(*streams, **more), config or {}))
        return opened[-1]

    yield build
    for source in opened:
        source.close()

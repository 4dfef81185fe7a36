"""A server's parts in a folder of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kitestring.server.context import Context
from kitestring.server.settings import Settings


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    made = Context.of(Settings(home=tmp_path / "home"))
    yield made
    made.close()

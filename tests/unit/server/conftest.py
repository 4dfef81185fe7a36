"""A server's parts in a folder of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kitestring.server.context import Context
from kitestring.server.jobs.forkserver import Nest
from kitestring.server.settings import Settings


@pytest.fixture(scope="session")
def nest() -> Iterator[Nest]:
    """One for all tests: what it has imported for the first, the others need not import again."""
    made = Nest()
    yield made
    made.close()


@pytest.fixture
def context(tmp_path: Path, nest: Nest) -> Iterator[Context]:
    made = Context.of(Settings(home=tmp_path / "home"))
    made.runner.nest = nest
    yield made
    made.store.close()

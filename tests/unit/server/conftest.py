"""A server's parts in a folder of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kitestring.server.context import Context
from kitestring.server.jobs.forkserver import ForkServer
from kitestring.server.settings import Settings


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """One for all tests: what it has imported for the first, the others need not import again."""
    made = ForkServer()
    yield made
    made.close()


@pytest.fixture
def context(tmp_path: Path, fork_server: ForkServer) -> Iterator[Context]:
    made = Context.of(Settings(home=tmp_path / "home"))
    made.runner.fork_server = fork_server
    yield made
    made.store.close()

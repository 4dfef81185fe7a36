"""Servers that run in the process of the tests have fork servers that are forked, too."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from kitestring.server.jobs import forkserver
from tests.preloaded_forkserver import fork_servers


@pytest.fixture(scope="module", autouse=True)
def preloaded_fork_servers() -> Iterator[None]:
    before = forkserver.PROGRAM
    if sys.platform == "linux":
        forkserver.PROGRAM = fork_servers().program
    yield
    forkserver.PROGRAM = before

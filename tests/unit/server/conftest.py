"""A server's parts in a folder of their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from connections import plan_of

from kitestring.server.context import Context
from kitestring.server.jobs.forkserver import ForkServer
from kitestring.server.jobs.worker import Worker
from kitestring.server.settings import Settings


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """One for all tests: what it has imported for the first, the others need not import again."""
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def migrated_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a new server. A copy of it costs a tenth of the migrations."""
    home = tmp_path_factory.mktemp("migrated") / "home"
    Context.of(Settings(home=home)).close()
    return home


@pytest.fixture
def home(tmp_path: Path, migrated_home: Path) -> Path:
    """The data folder of a server that nobody has used yet."""
    return Path(shutil.copytree(migrated_home, tmp_path / "home"))


@pytest.fixture
def context(home: Path, fork_server: ForkServer) -> Iterator[Context]:
    context = Context.of(Settings(home=home))
    context.runner.fork_server = fork_server
    yield context
    context.searches.close()
    context.store.close()


@pytest.fixture
def work(context: Context) -> Iterator[Callable[[], Worker]]:
    """Makes workers, all stopped in the end."""
    workers: list[Worker] = []

    def start() -> Worker:
        worker = Worker(context, plan_of)
        worker.start()
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.stop()

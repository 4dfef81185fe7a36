"""Fixtures that several suites share."""

import gc
import logging
import os
import re
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from kitestring.server.auth import password

pytest_plugins = [f"integration.{name}_server" for name in ("clickhouse", "mariadb", "mongodb", "postgres")]
TESTS = Path(__file__).parent
SLOW_FILE = re.compile(r"^pytestmark = (\[\s*)?pytest\.mark\.slow", re.MULTILINE)
PRODUCTION_HASH = (password.PASSES, password.MEMORY_KIB, password.LANES)


def pytest_configure() -> None:
    """In the background (CI, nohup) a process ignores Ctrl-C, and so would every program the tests stop."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    use_password_hash(1, 8, 1)
    os.environ.setdefault("KITESTRING_SEARCH_DAEMON_S", "0")  # no test leaves a process behind


def use_password_hash(passes: int, memory_kib: int, lanes: int) -> None:
    """Hash passwords in this process with these parameters of argon2."""
    password.PASSES, password.MEMORY_KIB, password.LANES = passes, memory_kib, lanes
    password._hasher.cache_clear()
    password._dummy_hash.cache_clear()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m "not slow"` a file that is slow as a whole is not even imported: some import for seconds."""
    if "not slow" in config.option.markexpr and collection_path.suffix == ".py":
        return True if SLOW_FILE.search(collection_path.read_text("utf-8")) else None
    return None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Collecting makes a million objects that stay: no garbage collection looks at them, now or during the tests."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


LONGEST = (
    "integration/test_milvus_server.py",
    "integration/test_foreign_packages.py",
    "integration/test_new_connector.py",
    "browser/test_builder.py",
    "integration/server/test_hostile_editor.py",
    "integration/test_kill_writes.py",
    "integration/server/test_clients.py",
    "integration/server/test_flagship_server.py",
    "integration/server/test_killed_server.py",
    "integration/test_deletes_without_cdc.py",
    "integration/test_capture_beyond_the_log.py",
    "integration/server/test_replication_slot.py",
    "browser/test_sizes.py",
    "browser/test_making.py",
    "unit/server/test_component_approval.py",
    "unit/server/test_jobs_trouble.py",
    "unit/server/test_publication.py",
    "unit/server/test_no_request_crashes.py",
    "unit/server/test_jobs.py",
    "unit/test_duplicate_code.py",
)
"""Files that take half a minute or more, the longest of a folder first; a worker runs a whole file."""
FOLDERS = ("integration", "browser", "contract", "examples")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that parallel workers end at about the same moment."""

    def rank(item: pytest.Item) -> tuple[int, int]:
        path = item.path.relative_to(TESTS)
        folder, name = path.parts[0], path.as_posix()
        return (
            FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS),
            LONGEST.index(name) if name in LONGEST else len(LONGEST),
        )

    items.sort(key=rank)


@pytest.fixture
def production_password_hash() -> Iterator[None]:
    """Hash passwords as a server does. All other tests use the cheapest parameters."""
    use_password_hash(*PRODUCTION_HASH)
    yield
    use_password_hash(1, 8, 1)


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """The command line sets up the log of its process; the tests after these have their own."""
    log = logging.getLogger("kitestring")
    before = log.handlers[:], log.level, log.propagate
    yield
    log.handlers[:], log.level, log.propagate = before

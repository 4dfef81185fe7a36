"""Fixtures that several suites share."""

import logging
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from kitestring.server.auth import password

pytest_plugins = ["integration.postgres_server"]
TESTS = Path(__file__).parent
SLOW_FILE = re.compile(r"^pytestmark = (\[\s*)?pytest\.mark\.slow", re.MULTILINE)
PRODUCTION_HASH = (password.PASSES, password.MEMORY_KIB, password.LANES)


def pytest_configure() -> None:
    """In the background (CI, nohup) a process ignores Ctrl-C, and so would every program the tests stop."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    use_password_hash(1, 8, 1)


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that parallel workers end at about the same moment."""
    folders = ("integration", "browser", "contract", "examples")
    rank = {folder: n for n, folder in enumerate(folders)}
    items.sort(key=lambda item: rank.get(item.path.relative_to(TESTS).parts[0], len(folders)))


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

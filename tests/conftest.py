"""Fixtures that several suites share."""

import signal

pytest_plugins = ["integration.postgres_server"]


def pytest_configure() -> None:
    """In the background (CI, nohup) a process ignores Ctrl-C, and so would every program the tests stop."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)

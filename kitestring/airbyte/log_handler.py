"""Reports of a served connector besides records and states: log entries and errors without secrets, and its end."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from kitestring.airbyte.messages import Writer
from kitestring.errors import ConnectorError
from kitestring.log_format import extra_text
from kitestring.redact import Redactor


class Engine(Protocol):
    """The parts of the engine used here. It is a parameter, since the engine is a layer above."""

    sync: Callable[..., Any]
    Selection: Callable[..., Any]


class ProtocolLogHandler(logging.Handler):
    """Log entries as LOG messages, without the secrets of the configuration."""

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self.writer = writer
        self.redactor = Redactor()

    def emit(self, record: logging.LogRecord) -> None:
        level = {10: "DEBUG", 20: "INFO", 30: "WARN", 40: "ERROR", 50: "FATAL"}.get(record.levelno, "INFO")
        with contextlib.suppress(OSError, ValueError):
            self.writer.log(level, self.redactor.text(self.format(record) + extra_text(record)))


@contextlib.contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set, so that the sync stops after durable records."""
    cancel = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield cancel
        return
    before = {n: signal.signal(n, lambda *_: cancel.set()) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancel
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def conclude(result: Any, writer: Writer, log_handler: ProtocolLogHandler) -> int:
    """Report the end of a sync; return its exit code: 0 only for `succeeded`."""
    if result.error is not None:
        writer.error(log_handler.redactor.error(result.error))
    for name, figures in result.streams.items():
        for suspicion in figures.suspicions:
            writer.error(ConnectorError(f"{name}: {suspicion}", hint="Compare both sides before you trust the copy."))
    if result.cancelled:
        writer.log("WARN", "stopped before the end")
    return 0 if result.ok else 1

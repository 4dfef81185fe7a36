"""Logging of the command line to stderr: text on a terminal, else JSON lines; secrets masked."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from kitestring.log_format import JsonFormatter, TextFormatter

if TYPE_CHECKING:
    from kitestring.redact import Redactor

LEVELS = ("debug", "info", "warning", "error")


def begin(level: str, form: str, secrets: Redactor) -> None:
    """Send the log of `kitestring.*` to stderr."""
    terminal = sys.stderr.isatty()
    handler = logging.StreamHandler(Stderr())
    as_json = (form or ("text" if terminal else "json")) == "json"
    handler.setFormatter(RedactingFormatter(JsonFormatter(iso_time=True) if as_json else TextFormatter(), secrets))
    log = logging.getLogger("kitestring")
    log.handlers = [handler]
    log.setLevel((level or ("warning" if terminal else "info")).upper())
    log.propagate = False


class SupportsWrite(Protocol):
    def write(self, text: str, /) -> Any: ...


class Stderr:
    """Stderr as it is at the moment of writing: above a live display, where one is on."""

    above: ClassVar[SupportsWrite | None] = None

    def write(self, text: str) -> None:
        (type(self).above or sys.stderr).write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class RedactingFormatter(logging.Formatter):
    """The lines of another formatter, secrets masked."""

    def __init__(self, formatter: logging.Formatter, secrets: Redactor) -> None:
        super().__init__()
        self.formatter = formatter
        self.secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        return self.secrets.text(self.formatter.format(record))

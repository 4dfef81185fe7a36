"""Logging of the command line: text on a terminal, JSON lines elsewhere, on stderr, secrets masked."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from kitestring.cli.global_options import Secrets

LEVELS = ("debug", "info", "warning", "error")
PLAIN = set(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}


def begin(level: str, form: str, secrets: Secrets) -> None:
    """Send the log of `kitestring.*` to stderr."""
    terminal = sys.stderr.isatty()
    handler = logging.StreamHandler(Stderr())
    handler.setFormatter(Lines(secrets, (form or ("text" if terminal else "json")) == "json"))
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


class Lines(logging.Formatter):
    """A line per entry with the fields of `extra`."""

    def __init__(self, secrets: Secrets, as_json: bool) -> None:
        super().__init__()
        self.secrets = secrets
        self.as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        fields = {key: value for key, value in vars(record).items() if key not in PLAIN}
        message = record.getMessage()
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        if self.as_json:
            from datetime import UTC, datetime

            at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
            entry = {"at": at, "level": record.levelname.lower(), "logger": record.name, "message": message, **fields}
            return self.secrets.hide(json.dumps(entry, default=str, ensure_ascii=False))
        shown = "".join(f" {key}={value}" for key, value in fields.items())
        text = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():7} {record.name}: {message}{shown}"
        return self.secrets.hide(text)

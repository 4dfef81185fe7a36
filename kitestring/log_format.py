"""Log entries as text or as JSON lines: the one formatter of the command line, the server and the connectors."""

from __future__ import annotations

import logging
from typing import Any

OF_EVERY_RECORD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}


def extra_fields(record: logging.LogRecord) -> dict[str, Any]:
    """The fields that came as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in OF_EVERY_RECORD}


def extra_text(record: logging.LogRecord) -> str:
    """The fields that came as `extra`, as ` name=value`."""
    return "".join(f" {name}={value}" for name, value in extra_fields(record).items())


class JsonFormatter(logging.Formatter):
    """An entry as a line of JSON: time, level, logger, message, and the fields of `extra`.

    The time is `at_ms` (epoch milliseconds), or with `iso_time` the text `at` (ISO 8601, UTC).
    """

    def __init__(self, iso_time: bool = False) -> None:
        super().__init__()
        self.iso_time = iso_time

    def format(self, record: logging.LogRecord) -> str:
        from kitestring.json_codec import dumps_text

        entry: dict[str, Any] = {
            **self._time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry.update((name, value) for name, value in extra_fields(record).items() if name not in entry)
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return dumps_text(entry)

    def _time(self, record: logging.LogRecord) -> dict[str, Any]:
        if not self.iso_time:
            return {"at_ms": int(record.created * 1000)}
        from datetime import UTC, datetime

        return {"at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")}


class TextFormatter(logging.Formatter):
    """An entry as a line of text, the fields of `extra` behind the message."""

    def format(self, record: logging.LogRecord) -> str:
        at, level = self.formatTime(record, "%H:%M:%S"), record.levelname.lower()
        text = f"{at} {level:7} {record.name}: {record.getMessage()}{extra_text(record)}"
        return f"{text} traceback={self.formatException(record.exc_info)}" if record.exc_info else text

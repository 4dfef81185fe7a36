"""Entries of a job's log as lines of JSON."""

from __future__ import annotations

import logging

from kitestring.json_codec import dumps_text

RECORD_FIELDS = set(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}


class JsonLineFormatter(logging.Formatter):
    """An entry of the log as a line of JSON; the parent masks it and keeps it."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {key: value for key, value in vars(record).items() if key not in RECORD_FIELDS}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        entry = {
            "at_ms": int(record.created * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{key: value for key, value in fields.items() if key not in ("at_ms", "level", "logger", "message")},
        }
        return dumps_text(entry)

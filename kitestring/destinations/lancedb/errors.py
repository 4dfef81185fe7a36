"""Errors of LanceDB as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kitestring.errors import ConfigError, KitestringError, TransientError
from kitestring.sql.error_rules import FILE_RULES, ErrorRule
from kitestring.sql.error_rules import translated as by_rules

RULES = (
    ErrorRule(
        r"(?i)commit conflict|conflicting|concurrent",
        TransientError,
        "{path}: another program wrote to the table at the same moment",
        "Let one sync at a time write a stream.",
    ),
    ErrorRule(
        r"(?i)permission denied|read-only file system",
        ConfigError,
        "{path} cannot be written: {text}",
        "Give this user the right to write there, or choose another `path`.",
    ),
    ErrorRule(
        r"(?i)not found|corrupt|magic",
        ConfigError,
        "{path}: a file of the table is missing or damaged: {text}",
        "Restore the folder, or choose another `path` and sync again.",
    ),
    *FILE_RULES,
)


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Raise LanceDB's errors as ours."""
    try:
        yield
    except KitestringError:
        raise
    except (ValueError, RuntimeError, OSError, TypeError) as error:
        raise by_rules(error, RULES, "LanceDB", path=path) from error

"""Errors of a vendor's driver as ours, by a list of rules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from kitestring.errors import ConfigError, ConnectorError, KitestringError


class ErrorRule(NamedTuple):
    """`pattern` is looked for in the names of the error's classes and its text. `message` may have `{text}`, its text,
    and the facts that `translated` is given."""

    pattern: str
    kind: type[KitestringError]
    message: str
    hint: str = ""


FILE_RULES = (
    ErrorRule(
        r"No space left|(?i:(disk|database) (or disk )?is full|disk full)",
        ConfigError,
        "the disk of {path} is full",
        "Free space, then sync again.",
    ),
    ErrorRule(
        r"\bOSError\b", ConfigError, "{path} cannot be used: {text}", "Check `path` and the rights of this user."
    ),
)
"""For a database that is a file, behind rules of the vendor's own."""


def translated(error: Exception, rules: Sequence[ErrorRule], title: str, **facts: Any) -> KitestringError:
    """The error as the first rule has it that fits; else it is a defect of the connector."""
    text = " ".join(str(error).split())
    described = f"{' '.join(kind.__name__ for kind in type(error).__mro__)}: {text}"
    for rule in rules:
        if re.search(rule.pattern, described):
            return rule.kind(rule.message.format(text=text[:300], **facts), hint=rule.hint, text=text)
    return ConnectorError(
        f"{title} refused a statement: {text[:300]}", hint="This is a defect of the connector: please report it."
    )

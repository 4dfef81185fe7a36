"""Errors of a vendor's driver as ours, by a list of rules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from kitestring.errors import ConfigError, ConnectorError, KitestringError


class ErrorRule(NamedTuple):
    """`pattern` is looked for in the names of the error's classes and its text. `message` may have `{said}`, its text,
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
        r"\bOSError\b", ConfigError, "{path} cannot be used: {said}", "Check `path` and the rights of this user."
    ),
)
"""For a database that is a file, behind rules of the vendor's own."""


def translated(error: Exception, rules: Sequence[ErrorRule], title: str, **facts: Any) -> KitestringError:
    """The error as the first rule has it that fits; else it is a defect of the connector."""
    said = " ".join(str(error).split())
    text = f"{' '.join(kind.__name__ for kind in type(error).__mro__)}: {said}"
    for rule in rules:
        if re.search(rule.pattern, text):
            return rule.kind(rule.message.format(said=said[:300], **facts), hint=rule.hint, said=said)
    return ConnectorError(
        f"{title} refused a statement: {said[:300]}", hint="This is a defect of the connector: please report it."
    )

"""Rules that turn errors of a vendor's driver into ours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from kitestring.errors import ConfigError, ConnectorError, KitestringError


class ErrorRule(NamedTuple):
    """`pattern` is searched in the names of the error's classes and its text. `message` may contain `{text}`, that
    text, and the facts passed to `translated`."""

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
"""For a database that is a file, after the vendor's own rules."""


def translated(error: Exception, rules: Sequence[ErrorRule], title: str, **facts: Any) -> KitestringError:
    """The error of the first rule that matches; without one, a defect of the connector."""
    text = " ".join(str(error).split())
    described = f"{' '.join(kind.__name__ for kind in type(error).__mro__)}: {text}"
    for rule in rules:
        if re.search(rule.pattern, described):
            return rule.kind(rule.message.format(text=text[:300], **facts), hint=rule.hint, text=text)
    return ConnectorError(
        f"{title} refused a statement: {text[:300]}", hint="This is a defect of the connector: please report it."
    )

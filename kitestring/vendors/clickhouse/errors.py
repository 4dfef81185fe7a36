"""Errors of ClickHouse as ours, by the codes that it documents."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from kitestring.errors import AuthError, ConfigError, KitestringError, RecordError, TransientError


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server is, for messages."""

    host: str
    port: int
    user: str

    def __str__(self) -> str:
        return f"ClickHouse at {self.host}:{self.port}"


# https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
LOST = frozenset({3, 33, 159, 160, 202, 203, 209, 210, 225, 236, 242, 252, 279, 285, 286, 319, 341, 373, 394, 425})
LOST |= frozenset({439, 473, 517, 999})
"""The statement can be repeated: timeouts, cancelled queries, too many queries or parts, replicas and their keeper."""

VALUES = frozenset({6, 26, 27, 38, 41, 53, 69, 70, 72, 117, 131, 190, 321, 349, 376, 407, 469, 675, 676})
"""A value that a column does not accept, or a constraint of a user refuses."""

Rule: TypeAlias = tuple[type[KitestringError], str, str]

RULES: dict[int, Rule] = {
    192: (AuthError, "does not know the user {user}", "Check `username`."),
    193: (AuthError, "refuses the password of {user}", "Check `username` and `password`."),
    194: (AuthError, "refuses the password of {user}", "Check `username` and `password`."),
    195: (AuthError, "does not let {user} in from this address", "Let the user in from this host."),
    516: (AuthError, "refuses the password of {user}", "Check `username` and `password`."),
    164: (ConfigError, "lets {user} only read", "Use a user that may write, with `readonly` = 0."),
    452: (
        ConfigError,
        "does not let {user} change a setting that is needed",
        "Lift the constraint for this user: the message names the setting.",
    ),
    81: (ConfigError, "has no database of this name", "Check `database`."),
    241: (
        TransientError,
        "has no memory left for this statement",
        "Raise max_memory_usage of the user, or the server's memory.",
    ),
    243: (ConfigError, "has no disk space left", "Free space there, then sync again."),
    201: (TransientError, "says that the quota of {user} is used up", "Wait for its end, or raise the quota."),
    497: (ConfigError, "does not let {user} do this", "GRANT the right: see the page of the connector."),
}

CODE = re.compile(r"Code: (\d+)\. DB::\w*Exception: (.*)", re.DOTALL)
VERSION = re.compile(r"\s*\(version [^()]*(\([^()]*\))?\)\s*$")


def code_of(text: str) -> int:
    """The number of an error; 0 without one."""
    match = CODE.search(text)
    return int(match[1]) if match else 0


def translated(status: int, text: str, place: Place) -> KitestringError:
    """The error of an answer that is none. `RecordError` is a value that the server does not accept."""
    match = CODE.search(text)
    code = int(match[1]) if match else 0
    message = VERSION.sub("", " ".join((match[2] if match else text).split()))[:300]
    if code in RULES:
        kind, what, hint = RULES[code]
        detail = f": {message}" if code in (164, 452, 497) else ""
        return kind(f"{place} {what.format(user=place.user)}{detail}", hint=hint, detail=message, code=code)
    if "No space left on device" in message:
        return ConfigError(f"{place} has no disk space left", hint="Free space there, then sync again.", detail=message)
    if code in VALUES:
        return RecordError(f"ClickHouse cannot take a value: {message}", code=code)
    if code in LOST or (not code and (status in (408, 429) or status >= 500)):
        what = f"could not run the statement: {message}" if code else f"answered with status {status}"
        return TransientError(f"{place} {what}", hint="Try again later.", code=code)
    if not code and status in (401, 403):
        return AuthError(f"{place} answered with status {status}", hint="Check `username` and `password`.")
    if not code:
        return ConfigError(
            f"{place} answered with status {status}, and not as ClickHouse does",
            hint="Check `host`, `port` and `ssl`: the port is that of the HTTP interface.",
        )
    return ConfigError(
        f"{place} refused a statement: {message}", hint="Check the table and the rights of the user.", code=code
    )

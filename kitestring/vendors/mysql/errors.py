"""Errors of MySQL, MariaDB and PyMySQL as ours, with the next action as hint."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import Any, TypeAlias

from kitestring.errors import AuthError, ConfigError, KitestringError, RecordError, TransientError


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server is, for messages."""

    host: str
    port: int
    database: str
    user: str

    def __str__(self) -> str:
        database = f"/{self.database}" if self.database else ""
        return f"MySQL at {self.host}:{self.port}{database}"


# Codes: https://mariadb.com/docs/server/reference/error-codes/mariadb-error-code-reference and
# https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html; 2000 onwards are those of clients.
LOST = frozenset({1042, 1047, 1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1180, 1205, 1206, 1213, 1317})
LOST |= frozenset({1412, 1637, 1927, 2002, 2003, 2005, 2006, 2013, 2014, 2027, 2055, 3101, 3168, 3572, 4031})
"""The connection is lost, or the statement can be repeated: shutdowns, locks, deadlocks, no connection left, a
table that was altered since the snapshot."""

RIGHTS = frozenset({1044, 1142, 1143, 1227, 1370, 1410, 1698})
"""The user lacks a right."""

VALUES = frozenset({1022, 1048, 1062, 1264, 1265, 1292, 1300, 1366, 1367, 1406, 1411, 1441, 1452, 1526, 1586, 1690})
VALUES |= frozenset({1153, 1301, 1761, 1762, 3140, 3141, 3819, 4025, 4078})
"""A value that a column does not accept, or a constraint of a user refuses."""

Rule: TypeAlias = tuple[type[KitestringError], str, str]

RULES: dict[int, Rule] = {
    1045: (AuthError, "refuses the password of {user}", "Check `username` and `password`."),
    1130: (AuthError, "does not let {user} in from this host", "Create the user for this host: 'name'@'host' or '%'."),
    1049: (ConfigError, "has no database of this name", "Check `database`."),
    1251: (AuthError, "uses a way of signing in that is not supported", "Give the user another plugin."),
    2059: (AuthError, "uses a way of signing in that is not supported", "Give the user another plugin."),
    3118: (AuthError, "has locked the account {user}", "Unlock it: ALTER USER … ACCOUNT UNLOCK."),
    1820: (AuthError, "wants a new password for {user}", "Set one: ALTER USER … IDENTIFIED BY …."),
    1862: (AuthError, "says that the password of {user} has expired", "Set a new one."),
    3159: (ConfigError, "takes only encrypted connections", "Set `ssl_mode` to required."),
    2026: (ConfigError, "does not speak TLS as `ssl_mode` asks", "Check `ssl_mode`, and TLS of the server."),
    1290: (ConfigError, "is read-only: it is a replica, or was set so", "Set `host` to the primary."),
    1836: (ConfigError, "is read-only: it is a replica, or was set so", "Set `host` to the primary."),
    1792: (ConfigError, "is read-only: it is a replica, or was set so", "Set `host` to the primary."),
    1021: (ConfigError, "has no disk space left", "Free space there, then sync again."),
    1114: (ConfigError, "has no space left for the table", "Free space there, then sync again."),
    1226: (TransientError, "has no connection left for {user}", "Lower `connections`, or raise the limit of the user."),
    1203: (TransientError, "has no connection left for {user}", "Lower `connections`, or raise the limit of the user."),
    1040: (TransientError, "has no connection left", "Lower `connections`, or raise `max_connections` there."),
    1117: (ConfigError, "takes no table with so many columns", "Select fewer fields of the stream."),
    1118: (ConfigError, "takes no table with such long rows", "Select fewer fields of the stream."),
    1969: (ConfigError, "cancelled the query", "Raise max_statement_time for this user."),
    3024: (ConfigError, "cancelled the query", "Raise max_execution_time for this user."),
}


def code_of(error: BaseException) -> int:
    """The number of an error; 0 without one."""
    code = error.args[0] if error.args else 0
    return code if isinstance(code, int) else 0


def translated(error: Any, place: Place, writing: bool = False) -> KitestringError:
    """An error of the driver as one of ours. `RecordError` is a value that the server does not accept."""
    code = code_of(error)
    text = " ".join(str(error.args[1] if len(error.args) > 1 else error).split())[:300]
    cause = getattr(error, "original_exception", None) or error
    if isinstance(cause, ssl.SSLError):
        return ConfigError(
            f"{place} fails the checks of `ssl_mode`",
            hint="Check the certificates in `ssl_mode`, and that `host` is the name in the server's.",
            detail=" ".join(str(cause).split())[:300],
        )
    if code == 2003 and re.search(r"Name or service not known|getaddrinfo|nodename nor servname", text):
        return ConfigError(f"{place} cannot be found: there is no such host", hint="Check `host`.")
    if code == 2003:
        return TransientError(
            f"{place} cannot be reached", hint="Check `host` and `port`, and that the server runs.", detail=text
        )
    if code in RULES:
        kind, what, hint = RULES[code]
        return kind(f"{place} {what.format(user=place.user)}", hint=hint, detail=text, code=code)
    if code in RIGHTS:
        what = "write" if writing else "read"
        hint = "GRANT SELECT on the table to the user."
        if writing:
            hint = "GRANT the rights on the database to the user: see the page of the connector."
        return ConfigError(f"{place}: the user {place.user} may not {what} this: {text}", hint=hint, code=code)
    if code in LOST or type(error).__name__ == "InterfaceError" or isinstance(error, OSError):
        return TransientError(f"{place} broke off: {text}", hint="Try again.", code=code)
    if writing and code in VALUES:
        return RecordError(f"MySQL cannot take a value: {text}", code=code)
    return ConfigError(
        f"{place} refused the query: {text}", hint="Check the table and the rights of the user.", code=code
    )

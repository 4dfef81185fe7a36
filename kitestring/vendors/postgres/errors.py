"""Errors of PostgreSQL and libpq as ours, with the next action as hint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from kitestring.errors import AuthError, ConfigError, KitestringError, RecordError, TransientError


@dataclass(frozen=True, slots=True)
class Place:
    """Where the database is, for messages."""

    host: str
    port: int
    database: str
    user: str

    def __str__(self) -> str:
        return f"PostgreSQL at {self.host}:{self.port}/{self.database}" if self.host else "PostgreSQL at `url`"


NOWHERE = Place("", 0, "", "")
"""The place of a URL that cannot be read."""


# libpq's messages for failed connections (it has no code for them), and what the user can do.
Refusal: TypeAlias = tuple[str, type[KitestringError], str, str]
REFUSED: tuple[Refusal, ...] = (
    ("password authentication failed", AuthError, "refuses the password of {user}", "Check `username` and `password`."),
    ("no password supplied", AuthError, "wants a password for {user}", "Set `password`."),
    ('role "', AuthError, "has no user {user}", "Check `username`."),
    (
        "no pg_hba.conf entry",
        AuthError,
        "does not let {user} in from here",
        "Add it to pg_hba.conf, or set `ssl_mode`.",
    ),
    ('database "', ConfigError, "does not exist on this server", "Check `database`."),
    ("could not translate host name", ConfigError, "cannot be found: there is no such host", "Check `host`."),
    ("failed to resolve host", ConfigError, "cannot be found: there is no such host", "Check `host`."),
    ("does not support SSL", ConfigError, "does not speak SSL", "Set `ssl_mode` to disable, or turn SSL on there."),
    ("certificate", ConfigError, "fails the checks of `ssl_mode`", "Check the certificates in `ssl_mode`."),
    ("unexpected eof while reading", TransientError, "broke off", "Try again."),
    ("SSL error", ConfigError, "fails the checks of `ssl_mode`", "Check the certificates in `ssl_mode`."),
    ("Connection refused", TransientError, "refuses connections", "Check `host` and `port`, and that the server runs."),
    ("No such file or directory", TransientError, "has no socket there", "Check `host`, and that the server runs."),
    ("timeout expired", TransientError, "does not answer", "Check `host`, `port` and the firewall in between."),
    ("starting up", TransientError, "is starting up", "Try again in a moment."),
    ("not yet accepting connections", TransientError, "is starting up", "Try again in a moment."),
    ("shutting down", TransientError, "is shutting down", "Try again when it is back."),
    ("too many clients", TransientError, "has no connection left", "Lower `connections`."),
    ("remaining connection slots", TransientError, "has no connection left", "Lower `connections`."),
)

# Messages for a lost connection, or a query to repeat.
LOST = (
    "server closed the connection",
    "terminating connection",
    "connection not open",
    "the connection is closed",
    "the connection is lost",
    "no connection to the server",
    "could not receive data",
    "could not send data",
    "SSL SYSCALL error",
    "SSL connection has been closed unexpectedly",
    "conflict with recovery",
    "invalid snapshot identifier",
    "snapshot too old",
)

# What the user must do about a code: https://www.postgresql.org/docs/current/errcodes-appendix.html
TO_DO: dict[str, tuple[str, str]] = {
    "53100": ("its disk is full", "Free space there, then sync again."),
    "25006": ("it is read-only: it is a standby, or was set so", "Set `host` to the primary server."),
    "2BP01": ("other objects depend on the table", "Drop them, or set `drop_cascade`."),
    "54011": ("a table has 1,600 columns at most", "Select fewer fields of the stream."),
    "54000": ("a limit of PostgreSQL is exceeded", "Select fewer fields of the stream, or shorten its values."),
}


def translated(error: Any, place: Place, writing: bool = False) -> KitestringError:
    """An error of the driver as one of ours. `RecordError` is a value that PostgreSQL does not accept."""
    text = " ".join(str(error).split())
    message = message_of(error) or text_after(text.partition(" Query was: ")[0], "ERROR:")
    code = getattr(error, "sqlstate", None) or ""
    if code == "42501":
        hint = "GRANT SELECT on the table, and USAGE on its schema, to the user."
        if writing:
            hint = "GRANT USAGE, CREATE on the schema (for a new one: CREATE on the database) and own its tables."
        what = "write" if writing else "read"
        return ConfigError(f"{place}: the user {place.user} may not {what} this: {message}", hint=hint, code=code)
    if code == "57014" or "statement timeout" in text:
        return ConfigError(
            f"{place} cancelled the query: {message}",
            hint="Raise or unset statement_timeout for this user.",
            code=code,
        )
    if not code or code.startswith(("28", "3D")):
        for phrase, kind, what, hint in REFUSED:
            if phrase in text:
                return kind(f"{place} {what.format(user=place.user)}", hint=hint, detail=text_after(text, "failed:"))
    if code in TO_DO:
        reason, hint = TO_DO[code]
        return ConfigError(f"{place}: {reason}: {message}", hint=hint, code=code)
    lost = code.startswith(("40", "53", "57P", "08")) and code != "08P01"  # 08P01 is about the message sent
    if lost or code == "55P03" or any(phrase in text for phrase in LOST):
        return TransientError(f"{place} broke off: {message}", hint="Try again.", code=code)
    if writing and code.startswith(("22", "23")):  # bad data, or a constraint of a user
        return RecordError(f"PostgreSQL cannot take a value: {message}", code=code)
    return ConfigError(
        f"{place} refused the query: {message}",
        hint="Check the table and the rights of the user.",
        code=code,
    )


def message_of(error: Any) -> str:
    """The server's message and detail in one line, without the statement and more that the drivers add."""
    if diagnosis := getattr(error, "diag", None):  # psycopg
        sentences = [text for text in (diagnosis.message_primary, diagnosis.message_detail) if text]
    else:  # ADBC
        parts = {text_of(name): text_of(value) for name, value in getattr(error, "details", None) or ()}
        sentences = [parts[name] for name in ("PG_DIAG_MESSAGE_PRIMARY", "PG_DIAG_MESSAGE_DETAIL") if parts.get(name)]
    return " ".join(": ".join(sentences).split())[:300]


def text_of(value: Any) -> str:
    """A name or a value of ADBC's `details`, which are bytes or texts, by the version of its driver manager."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def text_after(text: str, mark: str) -> str:
    return text.rpartition(mark)[2].strip()[:300]

"""Errors of SQLAlchemy and of database drivers as ours, by the codes that the drivers document.

The text of an error may quote a column, a value or a query, so no statement's error is judged by its text. Only a
refused connection is, where its driver gives no code; names in quotation marks do not count there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kitestring.errors import AuthError, ConfigError, KitestringError, TransientError

DENIED: dict[str, frozenset[int | str]] = {
    "mysql": frozenset({1044, 1045, 1142, 1143, 1227, 1370, 1698, 1820, 3118, 3159}),
    "mssql": frozenset({229, 230, 262, 297, 300, 916, 4060, 18452, 18456, 18486, 18487, 18488}),
    "oracle": frozenset({"ORA-01017", "ORA-01031", "ORA-01045", "ORA-28000", "ORA-28001"}),
    "snowflake": frozenset({3001, 390100, 390101, 390102, 390144, 390186, 390195, 394300}),
    "bigquery": frozenset({401, 403}),
    "sqlite": frozenset({23}),
}
"""Codes of drivers, by the dialect: the user may not do this, or is not known."""

TRANSIENT: dict[str, frozenset[int | str]] = {
    "mysql": frozenset(
        {1040, 1053, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1317, 1927, 1969, 2002, 2003, 2006, 2013, 2055, 3024}
    ),
    "mssql": frozenset(
        {1204, 1205, 1222, 6005, 10053, 10054, 10060, 10928, 10929, 17142, 20002, 20003, 20004, 20006, 20009, 20047}
        | {40143, 40197, 40501, 40613, 49918, 49919, 49920}
    ),
    "oracle": frozenset(
        {f"ORA-{n:05}" for n in (18, 20, 54, 60, 1033, 1034, 1089, 1090, 1092, 1555, 3113, 3114, 3135, 8177)}
        | {f"ORA-{n}" for n in (12170, 12516, 12519, 12520, 12528, 12537, 12541, 12543, 12547, 12571)}
        | {"DPY-1001", "DPY-4011", "DPY-4024", "DPY-6005"}
    ),
    "snowflake": frozenset({250001, 250002, 250003, 250006, 390111, 390114, 390112, 604, 630}),
    "bigquery": frozenset({429, 500, 502, 503, 504}),
    "sqlite": frozenset({5, 6, 10, 15}),
}
"""Codes of drivers, by the dialect: it may work later."""

SQLSTATE = re.compile(r"[0-9A-Z]{5}")
DENIED_STATES = re.compile(r"28...|42501")
TRANSIENT_STATES = re.compile(r"08...|40...|53...|55P03|57...|HYT0[01]")
"""https://www.postgresql.org/docs/current/errcodes-appendix.html, and ODBC's HYT00 and HYT01: a timeout."""

QUOTED = re.compile(r"""(["'`«]).*?(["'`»])""")
REFUSED_USER = re.compile(
    r"password|authenticat|login failed|access denied|not authorized|invalid credentials", re.IGNORECASE
)
REFUSED_CONNECTION = re.compile(
    r"timed? ?out|refused|could not connect|can't connect|unable to connect|failed to connect|starting up|shutting down"
    r"|connection (was )?(closed|reset|lost)|server closed|unreachable|broken pipe|too many (connections|clients)",
    re.IGNORECASE,
)
ALIASES = {"mariadb": "mysql"}


def own_error(error: Exception, dialect: str, hide: Callable[[str], str], place: str) -> KitestringError:
    """An error of SQLAlchemy or of the driver of this dialect as one of ours, without secrets."""
    import sqlalchemy.exc as exc

    if isinstance(error, exc.NoSuchTableError):
        return ConfigError(f"{place} has no table {error}", hint="Check the stream's name and the rights of the user.")
    is_driver = isinstance(error, exc.DBAPIError)
    cause = error.orig if isinstance(error, exc.DBAPIError) and error.orig is not None else error
    text = hide(" ".join(str(cause).split()))[:300]
    kind = kind_of(cause, ALIASES.get(dialect, dialect)) if is_driver or isinstance(error, OSError) else None
    if kind is None and isinstance(error, exc.DBAPIError):
        if error.connection_invalidated:
            kind = TransientError
        elif error.statement is None:
            kind = kind_of_refusal(str(cause).replace(place, ""))
    if kind is AuthError:
        return AuthError(f"{place} refuses the user: {text}", hint="Check the user, the password and the rights.")
    if kind is TransientError:
        return TransientError(f"{place} cannot be read now: {text}")
    return ConfigError(f"{place} cannot be read: {text}", hint="Correct the configuration, or the rights of the user.")


def kind_of(cause: BaseException, dialect: str) -> type[KitestringError] | None:
    """What the codes of an error say; None where they say nothing."""
    codes = codes_of(cause)
    if not codes.isdisjoint(DENIED.get(dialect, ())):
        return AuthError
    if not codes.isdisjoint(TRANSIENT.get(dialect, ())):
        return TransientError
    states = [code for code in codes if isinstance(code, str) and SQLSTATE.fullmatch(code)]
    if any(map(DENIED_STATES.fullmatch, states)):
        return AuthError
    is_network = isinstance(cause, ConnectionError | TimeoutError)
    return TransientError if is_network or any(map(TRANSIENT_STATES.fullmatch, states)) else None


def kind_of_refusal(text: str) -> type[KitestringError] | None:
    """What the text of a refused connection says. No query has run, so apart from quoted names it is the driver's."""
    words = QUOTED.sub("", text)
    if REFUSED_USER.search(words):
        return AuthError
    return TransientError if REFUSED_CONNECTION.search(words) else None


def codes_of(cause: BaseException) -> set[int | str]:
    """The codes of an error of a driver: numbers of the vendor, SQLSTATE, names such as ORA-01017.

    psycopg, snowflake-connector and sqlite3 have attributes; PyMySQL, pymssql and pyodbc the first argument (pymssql
    within a tuple); oracledb an object there; BigQuery's DB-API the error that it was raised from.
    """
    named = [getattr(cause, name, None) for name in ("sqlstate", "pgcode", "errno")]
    sqlite = getattr(cause, "sqlite_errorcode", None)
    first: Any = cause.args[0] if cause.args else None
    if isinstance(first, tuple) and first:
        first = first[0]
    of_first = [first, getattr(first, "full_code", None)]
    http = getattr(cause.__cause__, "code", None)
    codes = [*named, *of_first, http, sqlite & 0xFF if isinstance(sqlite, int) else None]
    return {code for code in codes if isinstance(code, int | str)}

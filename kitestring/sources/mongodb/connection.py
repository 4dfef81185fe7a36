"""The connection to a deployment of MongoDB, and its errors as ours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from kitestring.errors import AuthError, ConfigError, TransientError

if TYPE_CHECKING:
    from pymongo import MongoClient

TIMEOUT_MS = 10_000
READ_TIMEOUT_MS = 300_000

MECHANISMS = frozenset({"", "DEFAULT", "SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN"})
"""Those that use nothing of this machine, such as its environment or tickets."""

DENIED = frozenset({13, 18, 8000})
"""Unauthorized, AuthenticationFailed, and Atlas' code for it."""
PASSING = frozenset({6, 7, 43, 50, 64, 89, 91, 112, 133, 134, 189, 202, 262, 9001, 10107, 11600, 11602, 13388, 13435})
"""Codes of a network, a step-down, a lost cursor or a time limit:
https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml"""
LOST = frozenset({136, 260, 280, 286})
"""CappedPositionLost, InvalidResumeToken, ChangeStreamFatalError, ChangeStreamHistoryLost."""


def problem_of(connection_string: str) -> str:
    """Why a connection string must not be used; empty where it may."""
    parts = urlsplit(connection_string)
    if parts.scheme not in ("mongodb", "mongodb+srv") or not parts.netloc:
        return "the connection string should have the form mongodb://host:port/ or mongodb+srv://host/"
    user, _, hosts = parts.netloc.rpartition("@")
    if ":" in user:
        return "the connection string has a password, which would be shown: give it as `password`"
    if "%2f" in hosts.lower() or ".sock" in hosts.lower():
        return "the connection string names a socket of this machine: name a host"
    options = {name.lower(): value for name, value in parse_qsl(parts.query)}
    file = next((name for name in options if name.endswith("file")), "")
    if file:
        return f"the connection string has the option {file}, which names a file of this machine: leave it out"
    mechanism = options.get("authmechanism", "").upper()
    if mechanism not in MECHANISMS:
        return f"the connection string has the authMechanism {mechanism}: use a user and a password"
    secret = next((name for name in options if re.search("passw|token|properties", name)), "")
    return f"the connection string has the option {secret}, which would be shown: leave it out" if secret else ""


def address_of(connection_string: str) -> str:
    """The hosts of a deployment, for messages."""
    return urlsplit(connection_string).netloc.rpartition("@")[2]


def client_of(connection_string: str, sign_in: Mapping[str, Any]) -> MongoClient[dict[str, Any]]:
    """A client that has not connected yet. `sign_in`: `username`, `password` and `authSource`, or nothing."""
    from pymongo import MongoClient

    with translated(address_of(connection_string)):
        return MongoClient(
            connection_string,
            **sign_in,
            appname="kitestring",
            serverSelectionTimeoutMS=TIMEOUT_MS,
            connectTimeoutMS=TIMEOUT_MS,
            socketTimeoutMS=READ_TIMEOUT_MS,
            tz_aware=True,
            datetime_conversion="DATETIME_AUTO",
            unicode_decode_error_handler="replace",
        )


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Turn errors of PyMongo into ours."""
    from pymongo import errors

    try:
        yield
    except errors.OperationFailure as error:
        text = reason_of(error)
        if error.code in DENIED:
            raise AuthError(
                f"{address} refuses the user: {text}",
                hint="Check `username`, `password`, `auth_source` and the rights of the user.",
            ) from error
        if error.code in PASSING or error.has_error_label("RetryableError"):
            raise TransientError(f"{address} cannot be read now: {text}") from error
        raise ConfigError(f"{address} cannot be read: {text}", hint="Correct the configuration.") from error
    except (errors.ConfigurationError, errors.InvalidURI) as error:
        raise ConfigError(
            f"the connection string of {address} cannot be used: {reason_of(error)}",
            hint="Correct `connection_string`, or the name server.",
        ) from error
    except errors.ConnectionFailure as error:
        text = reason_of(error)
        if "CERTIFICATE_VERIFY_FAILED" in text:
            raise ConfigError(
                f"the certificate of {address} is not trusted: {text}",
                hint="Use a certificate of a public authority, or of one that this machine trusts.",
            ) from error
        raise TransientError(f"{address} cannot be reached: {text}") from error
    except errors.PyMongoError as error:
        raise ConfigError(f"{address} cannot be read: {reason_of(error)}", hint="Correct the configuration.") from error


def reason_of(error: Exception) -> str:
    """The text of an error, without the description of the topology that follows it."""
    text = str((getattr(error, "details", None) and error.details.get("errmsg")) or error)  # type: ignore[attr-defined]
    return " ".join(text.partition(", Timeout:")[0].split())[:300]


def is_lost(error: Exception) -> bool:
    """Whether an error says that the changes from a position on are no longer there."""
    return getattr(error, "code", None) in LOST

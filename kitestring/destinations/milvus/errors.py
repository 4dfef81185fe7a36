"""Errors of Milvus and its client as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kitestring.errors import AuthError, ConfigError, ConnectorError, KitestringError, TransientError

# https://github.com/milvus-io/milvus/blob/master/pkg/util/merr/errors.go
AUTH_CODES = {1400, 1401, 1402, 1403}
SILENCE = (
    "unavailable", "deadline", "timed out", "timeout", "connection refused", "fail connecting", "connect failed",
    "failed to connect", "server closed", "rate limit", "not ready",
)  # fmt: skip
NOT_READY_CODES = {1, 2, 3, 5, 7, 8, 9, 500, 501, 502, 503}


@contextmanager
def translated(where: str, **fields: Any) -> Iterator[None]:
    """Turn errors of pymilvus and grpc into errors of `kitestring.errors`."""
    try:
        yield
    except KitestringError:
        raise
    except Exception as error:
        raise translate(error, where, fields) from error


def translate(error: Exception, where: str, fields: dict[str, Any]) -> KitestringError:
    text = message_of(error)
    low = text.lower()
    code = getattr(error, "code", None)
    if not isinstance(code, int):
        code = None
    if "no space left" in low or "disk quota" in low:
        return ConfigError(f"{where} is full: {text}", hint="Free some disk space and sync again.", **fields)
    if "read-only file system" in low or isinstance(error, OSError) or "errno 13" in low:
        return ConfigError(
            f"{where} cannot be written: {text}",
            hint="Give this user the right to write there, or choose another path.",
            **fields,
        )
    if code in AUTH_CODES or any(
        keyword in low
        for keyword in ("unauthenticated", "auth check failure", "privilege", "permission deny", "permission_denied")
    ):
        if "privilege" in low or "permission" in low:
            return AuthError(
                f"{where} does not give this user the right to do that: {text}",
                hint="Grant the user's role the rights to read and write the collection (and to create it).",
                **fields,
            )
        return AuthError(f"{where} refused the credentials", hint="Check indexing.auth.", **fields)
    if "database not found" in low or code == 800:
        return ConfigError(
            f"{where} has no database of this name: {text}",
            hint="Correct indexing.db, or create the database.",
            **fields,
        )
    if any(keyword in low for keyword in SILENCE):
        return TransientError(
            f"{where} does not answer: {text}",
            hint="Check that the server runs and can be reached, and the credentials: wrong ones get no answer either.",
            **fields,
        )
    if "cannot parse expression" in low or "failed to create query plan" in low or "filter" in low or "column" in low:
        return ConfigError(
            f"{where} does not understand the filter: {text}", hint="Correct the filter (`where`).", **fields
        )
    if code in NOT_READY_CODES and type(error).__module__.startswith("pymilvus") and getattr(error, "retriable", False):
        return TransientError(f"{where} could not do it now: {text}", **fields)
    if type(error).__module__.startswith("grpc"):
        return TransientError(
            f"{where} does not answer: {text}", hint="Check that the server can be reached.", **fields
        )
    return ConnectorError(
        f"{where} answered with an error: {text}",
        hint="Please report it, with the versions of Milvus and pymilvus.",
        code=code,
        **fields,
    )


def message_of(error: Exception) -> str:
    """The message of an error of pymilvus, on one line, shortened."""
    text = getattr(error, "message", None)
    text = text if isinstance(text, str) and text else str(error) or type(error).__name__
    text = " ".join(text.split())
    return text if len(text) <= 300 else text[:297] + "..."

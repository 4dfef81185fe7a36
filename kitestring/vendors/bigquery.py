"""BigQuery, for the connectors that read and write it: credentials, and errors of Google's client as ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kitestring.errors import AuthError, ConfigError, KitestringError, RecordError, TransientError
from kitestring.json_codec import JsonError, loads

if TYPE_CHECKING:
    from google.oauth2.service_account import Credentials

TRANSIENT_REASONS = frozenset(
    {"rateLimitExceeded", "jobRateLimitExceeded", "backendError", "internalError", "resourceInUse", "tableUnavailable",
     "jobBackendError", "jobInternalError"}
)  # fmt: skip
"""Reasons of errors that end by themselves (https://cloud.google.com/bigquery/docs/error-messages)."""

QUOTA_REASONS = frozenset({"quotaExceeded", "billingTierLimitExceeded", "responseTooLarge"})
VALUE_WORDS = (
    "overflow", "out of range", "invalid json", "parse_json", "could not parse", "bad double value", "bad int64 value",
    "cannot be represented", "cannot round-trip", "invalid value", "too large", "exceeds the maximum",
)  # fmt: skip
"""What errors of the reasons `invalid` and `invalidQuery` say when a value does not fit."""

RETRY_AFTER_S = 30.0


def credentials_of(text: str) -> Credentials:
    from google.oauth2.service_account import Credentials

    try:
        return Credentials.from_service_account_info(loads(text))
    except (JsonError, ValueError, TypeError, AttributeError):
        raise ConfigError(
            "`credentials_json` is not the key of a service account",
            hint="Give the whole text of the JSON file that Google Cloud made for the account.",
        ) from None


@contextmanager
def translated(place: str, hide: Callable[[str], str]) -> Iterator[None]:
    """Turn errors of Google's client into ours."""
    import requests
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError

    try:
        yield
    except RefreshError as error:
        if getattr(error, "retryable", False):
            raise TransientError(f"Google gives no token for {place} now: {described(error, hide)}") from None
        raise AuthError(
            f"Google refuses the key for {place}: {described(error, hide)}",
            hint="Make a new key of the service account, and set `credentials_json`.",
        ) from None
    except (TransportError, requests.RequestException, OSError) as error:
        raise TransientError(f"{place} cannot be reached: {described(error, hide)}") from None
    except GoogleAuthError as error:
        raise AuthError(f"{place}: {described(error, hide)}", hint="Correct `credentials_json`.") from None
    except GoogleAPIError as error:
        raise own_error(error, place, hide) from None


def own_error(error: Any, place: str, hide: Callable[[str], str]) -> KitestringError:
    text = described(error, hide)
    reasons = {str(entry.get("reason")) for entry in getattr(error, "errors", None) or () if isinstance(entry, dict)}
    code = getattr(error, "code", None)
    if reasons & TRANSIENT_REASONS or code in (429, 500, 502, 503, 504) or code is None:
        wait_s = RETRY_AFTER_S if reasons & TRANSIENT_REASONS or code == 429 else None
        return TransientError(f"{place} is busy or not there now: {text}", retry_after_s=wait_s)
    if reasons & QUOTA_REASONS:
        return ConfigError(
            f"{place}: a quota is used up: {text}", hint="Raise the quota in Google Cloud, or sync again tomorrow."
        )
    if code in (401, 403):
        return AuthError(
            f"{place} refuses the service account: {text}",
            hint="Give it the roles BigQuery Data Editor and BigQuery Job User.",
        )
    if code == 400 and any(word in text.lower() for word in VALUE_WORDS):
        return RecordError(f"BigQuery cannot take a value: {text}")
    return ConfigError(f"{place}: {text}", hint="Correct the configuration, or the rights of the service account.")


def described(error: BaseException, hide: Callable[[str], str]) -> str:
    text = getattr(error, "message", None) or str(error)
    return hide(" ".join(str(text).split()))[:300]

"""Functions and filters for templates, with the names of Airbyte's engine."""

from __future__ import annotations

import base64
import builtins
import hashlib
import hmac as hmac_module
import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus

from kitestring import json_codec
from kitestring.declarative import datetime_format
from kitestring.declarative.datetime_format import DateFormat
from kitestring.pattern import compiled

FUNCTIONS: dict[str, Callable[..., Any]] = {}
FILTERS: dict[str, Callable[..., Any]] = {}
CHANGING = frozenset({"now_utc", "today_utc", "today_with_timezone", "day_delta", "generate_uuid"})
"""Functions whose value differs from call to call: templates with them are not cached."""


def function(meaning: Callable[..., Any]) -> Callable[..., Any]:
    FUNCTIONS[meaning.__name__] = meaning
    return meaning


def filter_(meaning: Callable[..., Any]) -> Callable[..., Any]:
    FILTERS[meaning.__name__.rstrip("_")] = meaning
    return meaning


@function
def now_utc() -> datetime:
    return datetime_format.now()


@function
def today_utc() -> date:
    return datetime_format.now().date()


@function
def today_with_timezone(timezone: str) -> date:
    from zoneinfo import ZoneInfo

    return datetime.now(ZoneInfo(timezone)).date()


@function
def timestamp(dt: Any) -> int | float:
    """Epoch seconds of a number (cut off) or of an ISO text."""
    if isinstance(dt, int | float):
        return int(dt)
    seconds: float = str_to_datetime(dt).timestamp()
    return seconds


@function
def str_to_datetime(s: Any) -> datetime:
    if isinstance(s, date):
        return datetime_format.as_moment(s)
    return datetime_format.parse_iso(str(s))


@function
def max(*args: Any) -> Any:
    return builtins.max(*args)


@function
def min(*args: Any) -> Any:
    return builtins.min(*args)


@function
def day_delta(num_days: int, format: str = datetime_format.DEFAULT_FORMAT) -> str:
    return (datetime_format.now() + timedelta(days=num_days)).strftime(format)


@function
def duration(datestring: str) -> datetime_format.Duration:
    return datetime_format.parse_duration(datestring)


@function
def format_datetime(dt: Any, format: str, input_format: str | None = None) -> str:
    if isinstance(dt, datetime):
        return dt.strftime(format)
    if isinstance(dt, int):
        moment = DateFormat(input_format or "%s").parse(dt)
    else:
        moment = DateFormat(input_format).parse(dt) if input_format else str_to_datetime(dt)
    return DateFormat(format).format(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


@function
def sanitize_url(value: str) -> str:
    return quote_plus(value)


@function
def camel_case_to_snake_case(value: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", value).lower()


@function
def generate_uuid() -> str:
    return str(uuid.uuid4())


@filter_
def hash(value: Any, hash_type: str = "md5", salt: str | None = None) -> str:
    if hash_type not in hashlib.algorithms_guaranteed or hash_type.startswith("shake"):
        raise ValueError(f"there is no hash called {hash_type}")
    digest = hashlib.new(hash_type, str(value).encode(), usedforsecurity=False)
    if salt:
        digest.update(str(salt).encode())
    return digest.hexdigest()


@filter_
def hmac(value: Any, key: str, hash_type: str = "sha256") -> str:
    if hash_type != "sha256":
        raise ValueError(f"hmac knows sha256, not {hash_type}")
    return hmac_module.new(str(key).encode(), str(value).encode(), hashlib.sha256).hexdigest()


@filter_
def base64encode(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


@filter_
def base64decode(value: str) -> str:
    return base64.b64decode(value.encode()).decode()


@filter_
def base64binascii_decode(value: str) -> str:
    """Encodes despite its name, as in Airbyte's engine."""
    return base64.standard_b64encode(value.encode("ascii")).decode("ascii")


def holds_decimal(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(holds_decimal, value.values()))
    return any(map(holds_decimal, value)) if isinstance(value, list | tuple) else isinstance(value, Decimal)


@filter_
def string(value: Any) -> str:
    """A text unchanged; another value as JSON in quotes, which keep it a text when the result is evaluated."""
    if isinstance(value, str):
        return value
    try:
        return f'"""{json.dumps(value)}"""'
    except TypeError:
        if not holds_decimal(value):
            raise
        return f'"""{json_codec.dumps_text(value)}"""'


@filter_
def regex_search(value: str, regex: str) -> str:
    """The first group of the first match, or an empty text."""
    match = compiled(regex).search(value)
    return match.group(1) if match and match.groups() else ""


@filter_
def regex_replace(value: str, regex: str, replacement: str) -> str:
    return compiled(regex).replace(value, replacement)

"""Values of BSON as JSON values: exact, or a text that says the same.

Types without a counterpart have the spelling of MongoDB's Extended JSON:
https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/
"""

from __future__ import annotations

import base64
import datetime as dt
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from kitestring.arrow_values import iso_date, ticks_of
from kitestring.json_codec import dumps_text
from kitestring.types import Record
from kitestring.watermark import Place, place_of

DAY_MS = 86_400_000
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

OBJECT_ID = re.compile(r"[0-9a-f]{24}")
MOMENT = re.compile(r"-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def record_of(document: Mapping[str, Any]) -> Record:
    """A document as a record; its `_id` is a plain value."""
    record = {name: value_of(value) for name, value in document.items()}
    if "_id" in document:
        record["_id"] = id_of(document["_id"])
    return record


def id_of(value: Any) -> Any:
    """An `_id` as a plain value: a key has no parts."""
    plain = value_of(value)
    return dumps_text(plain) if isinstance(plain, dict | list) else plain


def value_of(value: Any) -> Any:
    """A value of BSON as a JSON value."""
    convert = CONVERTERS.get(type(value).__name__)
    if convert is not None:
        return convert(value)
    if isinstance(value, Mapping):
        return {str(name): value_of(part) for name, part in value.items()}
    if isinstance(value, list):
        return [value_of(part) for part in value]
    return value


def moment_of(value: dt.datetime) -> str:
    return moment_text((value.replace(tzinfo=value.tzinfo or dt.UTC) - EPOCH) // dt.timedelta(milliseconds=1))


def moment_text(milliseconds: int) -> str:
    """A moment with its milliseconds, also outside the years 1 to 9999, which Python's datetime has not."""
    days, rest = divmod(milliseconds, DAY_MS)
    seconds, ticks = divmod(rest, 1000)
    hour, minute, second = seconds // 3600, seconds // 60 % 60, seconds % 60
    return f"{iso_date(days)}T{hour:02}:{minute:02}:{second:02}.{ticks:03}Z"


def binary_of(value: Any) -> str:
    """A UUID as its text, other bytes in base64."""
    subtype = getattr(value, "subtype", 0)
    return str(UUID(bytes=bytes(value))) if subtype == 4 and len(value) == 16 else base64.b64encode(value).decode()


def regex_of(value: Any) -> Record:
    flags = ((re.I, "i"), (re.L, "l"), (re.M, "m"), (re.S, "s"), (re.U, "u"), (re.X, "x"))
    options = "".join(letter for flag, letter in flags if value.flags & flag)
    return {"$regularExpression": {"pattern": text_of(value.pattern), "options": options}}


def text_of(text: Any) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def code_of(value: Any) -> Record:
    scope = {} if value.scope is None else {"$scope": value_of(value.scope)}
    return {"$code": str(value), **scope}


CONVERTERS: Mapping[str, Any] = {
    "ObjectId": str,
    "Int64": int,
    "Decimal128": str,
    "datetime": moment_of,
    "DatetimeMS": lambda value: moment_text(int(value)),
    "bytes": binary_of,
    "Binary": binary_of,
    "UUID": str,
    "Timestamp": lambda value: {"$timestamp": {"t": value.time, "i": value.inc}},
    "Regex": regex_of,
    "DBRef": lambda value: value_of(value.as_doc()),
    "Code": code_of,
    "MinKey": lambda _: {"$minKey": 1},
    "MaxKey": lambda _: {"$maxKey": 1},
}
"""By the name of the type: the driver is imported when a source connects."""

KINDS: Mapping[str, str] = {
    "bool": "boolean",
    "int": "integer",
    "Int64": "integer",
    "float": "number",
    "str": "string",
    "ObjectId": "object id",
    "Decimal128": "decimal",
    "datetime": "moment",
    "DatetimeMS": "moment",
    "bytes": "binary",
    "Binary": "binary",
    "UUID": "uuid",
    "list": "array",
    "NoneType": "null",
}
"""What the schema calls a type of BSON; others are objects."""

TEXTS = frozenset({"string", "object id", "decimal", "moment", "binary", "uuid"})
ORDERED = frozenset({"integer", "number", "string", "moment", "object id"})
"""The kinds by which a collection can be read in order."""


def kind_of(value: Any) -> str:
    if type(value).__name__ == "Binary":
        return "uuid" if getattr(value, "subtype", 0) == 4 else "binary"
    return KINDS.get(type(value).__name__, "object")


def schema_of(kinds: set[str]) -> dict[str, Any]:
    """The JSON Schema of a field that has values of these kinds; without a type where it may be anything."""
    present = kinds - {"null"}
    if present == {"moment"}:
        return {"type": ["string", "null"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}
    if present == {"binary"}:
        return {"type": ["string", "null"], "contentEncoding": "base64"}
    if present and present <= TEXTS:
        return {"type": ["string", "null"]}
    if present == {"integer", "number"}:
        return {"type": ["number", "null"]}
    return {"type": [next(iter(present)), "null"]} if len(present) == 1 else {}


def bson_value(kind: str, value: Any) -> Any:
    """A cursor value of a state as the database compares it."""
    from bson import ObjectId
    from bson.datetime_ms import DatetimeMS

    if kind == "object id":
        return ObjectId(value)
    if kind == "moment":
        milliseconds = ticks_of(value, 1000)
        if milliseconds is None:
            raise ValueError(f"{value} is no moment")
        return DatetimeMS(milliseconds)
    return value


def cursor_place(kind: str) -> Callable[[Any], Place | None]:
    """The order of the values of a cursor with this kind, as the database has it."""
    if kind == "moment":
        return moment_place
    return text_place if kind in ("string", "object id") else place_of


def text_place(value: Any) -> Place | None:
    """The position of a text by its code points."""
    return ("text", value) if isinstance(value, str) else None


def moment_place(value: Any) -> Place | None:
    """The position of a moment. All that are before the year 1 are one, and so are all after 9999."""
    place = place_of(value)
    milliseconds = None if place is None or place[0] == "moment" else ticks_of(value, 1000)
    if milliseconds is None:
        return place
    return "moment", (dt.datetime.min if milliseconds < 0 else dt.datetime.max).replace(tzinfo=dt.UTC)


def twins_of(value: Any) -> list[Any]:
    """Other `_id`s of BSON that would be the same value of JSON."""
    from bson import Binary, ObjectId, UuidRepresentation
    from bson.json_util import CANONICAL_JSON_OPTIONS, loads

    if not isinstance(value, str):
        plain = id_of(value)
        return [plain] if isinstance(plain, str) else []
    twins: list[Any] = []
    if OBJECT_ID.fullmatch(value):
        twins.append(ObjectId(value))
    if MOMENT.fullmatch(value) and len(value) == 24:
        with suppress(ValueError):  # a text such as 2026-02-30T00:00:00.000Z
            twins.append(bson_value("moment", value))
    with suppress(ValueError):
        twins.append(Binary.from_uuid(UUID(value), UuidRepresentation.STANDARD))
    if value.startswith("{"):
        with suppress(ValueError, TypeError):
            twins.append(loads(value, json_options=CANONICAL_JSON_OPTIONS))
    return [twin for twin in twins if id_of(twin) == value]

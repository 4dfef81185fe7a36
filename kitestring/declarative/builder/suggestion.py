"""Suggestions of a language model for a connector, in a small vocabulary: checked data, never parts of a manifest.

The author of a documentation may have written the model's answer. So the answer can only choose between known kinds,
its paths are relative to the address of the manifest, and no text of it is a template.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kitestring import json_codec
from kitestring.declarative.builder.manifest_plan import snake
from kitestring.errors import ConnectorError

MOST_STREAMS = 8
LONGEST = 200
NAME = re.compile(r"[\w.$@\[\]-]{1,100}", re.ASCII)
"""A parameter, a header or a field."""
PATH = re.compile(r"/?[\w.~!$&'()*+,;=@%-]+(?:/[\w.~!$&'()*+,;=:@%-]*)*", re.ASCII)
PAGINGS = ("page", "offset", "cursor", "last_record", "next_address", "link_header")
AUTHS = ("bearer", "basic", "api_key")
FORMAT = re.compile(r"%(?:s|ms|s_as_float|epoch_microseconds)|[%\w:./ +-]{2,60}", re.ASCII)


@dataclass(slots=True)
class PagingSuggestion:
    """A kind of pagination, with the parameter and the paths in the answer that it needs."""

    kind: str
    parameter: str = ""
    start: int = 1
    path: list[str] = field(default_factory=list)
    more: list[str] = field(default_factory=list)


@dataclass(slots=True)
class StreamSuggestion:
    """A list of the API. `path` is relative."""

    name: str
    path: str
    parameters: dict[str, str] = field(default_factory=dict)
    records: list[str] | None = None
    key: str = ""
    paging: PagingSuggestion | None = None
    cursor_field: str = ""
    cursor_parameter: str = ""
    cursor_format: str = ""


@dataclass(slots=True)
class AuthSuggestion:
    """How the API takes a credential. `place`: header or request_parameter; `prefix` goes before the secret."""

    kind: str
    place: str = "header"
    name: str = ""
    prefix: str = ""


@dataclass(slots=True)
class Suggestions:
    """The suggestions of a model. `dropped` counts those that were not usable."""

    auth: AuthSuggestion | None = None
    streams: list[StreamSuggestion] = field(default_factory=list)
    dropped: int = 0


def suggestions_in(text: str) -> Suggestions:
    """The suggestions in the answer of a model: one JSON object, maybe in a fence. `ConnectorError` for none."""
    start, end = text.find("{"), text.rfind("}")
    try:
        values = json_codec.loads(text[start : end + 1]) if start >= 0 else None
    except json_codec.JsonError:
        values = None
    if not isinstance(values, Mapping):
        raise ConnectorError("the model did not answer with a JSON object", hint="Try again, or use another model.")
    return suggestions_of(values)


def suggestions_of(values: Mapping[str, Any]) -> Suggestions:
    """Checked suggestions of plain values; what does not fit the vocabulary is dropped and counted."""
    result = Suggestions()
    if values.get("auth") is not None:
        result.auth = auth_of(values["auth"])
        result.dropped += result.auth is None
    streams = values.get("streams")
    for item in streams[: 5 * MOST_STREAMS] if isinstance(streams, list) else []:
        stream = stream_of(item)
        if stream is None or len(result.streams) == MOST_STREAMS:
            result.dropped += 1
        else:
            result.streams.append(stream)
    return result


def name_in(values: Any, field_name: str) -> str:
    """A name of a parameter, a header or a field; empty where there is none that is plain."""
    value = values.get(field_name) if isinstance(values, Mapping) else None
    return value if isinstance(value, str) and NAME.fullmatch(value) else ""


def path_in(values: Mapping[str, Any], field_name: str) -> list[str] | None:
    """A path in an answer: a list of names, or one dotted text."""
    value = values.get(field_name)
    parts = value.split(".") if isinstance(value, str) else value
    if not isinstance(parts, list) or len(parts) > 8:
        return None
    if parts == [""]:
        return []
    return parts if all(isinstance(part, str) and NAME.fullmatch(part) for part in parts) else None


def auth_of(values: Any) -> AuthSuggestion | None:
    kind = str(values.get("kind")) if isinstance(values, Mapping) else ""
    if kind not in AUTHS:
        return None
    place = "request_parameter" if str(values.get("in")) in ("query", "request_parameter") else "header"
    prefix = values.get("prefix")
    plain_prefix = prefix.strip() if isinstance(prefix, str) and re.fullmatch(r"[A-Za-z-]{1,20}:? ?", prefix) else ""
    name = name_in(values, "name")
    return None if kind == "api_key" and not name else AuthSuggestion(kind, place, name, plain_prefix)


def stream_of(values: Any) -> StreamSuggestion | None:
    path = values.get("path") if isinstance(values, Mapping) else None
    if not isinstance(path, str) or len(path) > LONGEST or not PATH.fullmatch(path) or "//" in path:
        return None
    if str(values.get("method", "GET")).upper() != "GET" or ".." in path.split("/"):
        return None
    name = values.get("name")
    stream = StreamSuggestion(snake(name if isinstance(name, str) else path)[:60] or "records", path.lstrip("/"))
    parameters = values.get("parameters")
    for key, value in list(parameters.items())[:20] if isinstance(parameters, Mapping) else []:
        if NAME.fullmatch(str(key)) and isinstance(value, str | int | bool) and len(str(value)) <= LONGEST:
            stream.parameters[str(key)] = str(value).lower() if isinstance(value, bool) else str(value)
    stream.records = path_in(values, "records")
    stream.key = name_in(values, "primary_key")
    stream.paging = paging_of(values.get("pagination"))
    cursor = values.get("cursor")
    if isinstance(cursor, Mapping):
        stream.cursor_field, stream.cursor_parameter = name_in(cursor, "field"), name_in(cursor, "parameter")
        form = cursor.get("format")
        stream.cursor_format = form if isinstance(form, str) and FORMAT.fullmatch(form) else ""
    return stream


def paging_of(values: Any) -> PagingSuggestion | None:
    kind = str(values.get("kind")) if isinstance(values, Mapping) else ""
    if kind not in PAGINGS:
        return None
    start = values.get("start")
    return PagingSuggestion(
        kind,
        name_in(values, "parameter"),
        start if isinstance(start, int) and start in (0, 1) else 1,
        path_in(values, "path") or [],
        path_in(values, "more") or [],
    )

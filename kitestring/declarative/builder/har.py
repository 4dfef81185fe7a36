"""A HAR file, as browsers and proxies write it, as a manifest: the calls that answered with lists become streams."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kitestring import json_codec
from kitestring.declarative.builder import paging
from kitestring.declarative.builder.http_call import CallReader, HttpCall, is_identifier, name_of, origin_of
from kitestring.declarative.builder.inference import infer_schema
from kitestring.declarative.builder.list_answer import (
    end_flag,
    key_of,
    more_flag,
    next_address,
    next_cursors,
    ranked_lists,
)
from kitestring.declarative.builder.manifest_plan import ManifestPlan, StreamPlan, unique
from kitestring.declarative.builder.openapi_document import mapping, sequence
from kitestring.declarative.paginator import links
from kitestring.errors import ConfigError

LARGEST = 16 * 1024 * 1024
MOST_ENTRIES = 5000
MOST_ROWS = 200


@dataclass(slots=True)
class ListCall:
    """Calls of one list: the first one, its answer, and the others, which show how it is paged."""

    call: HttpCall
    answer: Any
    headers: Mapping[str, str]
    records: list[str]
    rows: list[Any]
    others: list[HttpCall] = field(default_factory=list)


def list_calls(text: str) -> tuple[list[ListCall], list[str]]:
    """The calls of a HAR file that answered with lists, without repetitions, and notes on the rest. `ConfigError` for a
    text that is no HAR file."""
    if len(text) > LARGEST:
        raise ConfigError(f"the file has {len(text):,} characters, the limit is {LARGEST:,}")
    try:
        log = mapping(json_codec.loads(text)).get("log")
    except json_codec.JsonError as error:
        raise ConfigError(f"the file is not JSON: {error}", hint="Export it again as HAR.") from None
    entries = mapping(log).get("entries")
    if not isinstance(entries, list):
        raise ConfigError(
            "the file is not a HAR file: it has no log.entries", hint="Export the calls as HAR with content."
        )
    calls: dict[tuple[str, str, str], ListCall] = {}
    empty = 0
    for entry in entries[:MOST_ENTRIES]:
        call, answer, headers = read_entry(mapping(entry))
        if call is None:
            continue
        if answer is None:
            empty += 1
            continue
        ranked = [(path, rows) for path, rows in ranked_lists(answer, call_word(call)) if rows]
        if not ranked:
            continue
        path, rows = ranked[0]
        parts = urlsplit(call.url)
        shape = "/".join("*" if is_identifier(part) else part for part in parts.path.split("/"))
        place = (call.method, origin_of(call.url), shape if call.method == "GET" else shape + call.body[:2000])
        if place in calls:
            calls[place].others.append(call)
        else:
            calls[place] = ListCall(call, answer, headers, path, rows[:MOST_ROWS])
    notes = []
    if len(entries) > MOST_ENTRIES:
        notes.append(f"The file has {len(entries):,} calls; the first {MOST_ENTRIES:,} are read.")
    if not calls:
        raise ConfigError(
            "no call of the file answered with a list in JSON",
            hint="Export the HAR file with the content of the answers."
            if empty
            else "Record the calls of a page that shows a list, and export them with content.",
        )
    return list(calls.values()), notes


def read_entry(entry: Mapping[str, Any]) -> tuple[HttpCall | None, Any, dict[str, str]]:
    """The call of an entry, its answer as JSON (None where it has none) and the headers of the answer."""
    request, response = mapping(entry.get("request")), mapping(entry.get("response"))
    url, method, status = request.get("url"), request.get("method"), response.get("status")
    if (
        not isinstance(url, str)
        or method not in ("GET", "POST")
        or not (isinstance(status, int) and 200 <= status < 300)
    ):
        return None, None, {}
    try:
        origin_of(url)
    except ConfigError:
        return None, None, {}
    content = mapping(response.get("content"))
    kind = str(content.get("mimeType") or "")
    if "json" not in kind.lower():
        return None, None, {}
    headers = pairs_of(request.get("headers"))
    posted = mapping(request.get("postData"))
    body = posted.get("text")
    if not isinstance(body, str) and sequence(posted.get("params")):
        from urllib.parse import urlencode

        body = urlencode(pairs_of(posted.get("params")))
    call = HttpCall(method, url, headers, body if isinstance(body, str) else "")
    text = content.get("text")
    if isinstance(text, str) and content.get("encoding") == "base64":
        try:
            text = base64.b64decode(text).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            text = None
    try:
        answer = json_codec.loads(text) if isinstance(text, str) and text else None
    except json_codec.JsonError:
        answer = None
    return call, answer, {name.lower(): value for name, value in pairs_of(response.get("headers"))}


def pairs_of(items: Any) -> list[tuple[str, str]]:
    return [
        (str(mapping(item)["name"]), str(mapping(item).get("value") or ""))
        for item in sequence(items)[:1000]
        if "name" in mapping(item)
    ]


def call_word(call: HttpCall) -> str:
    parts = [part for part in urlsplit(call.url).path.split("/") if part and not is_identifier(part)]
    return parts[-1] if parts else ""


def har_plan(
    text: str, chosen: Collection[str], most: int
) -> tuple[ManifestPlan, list[tuple[StreamPlan, bool]], list[str]]:
    """The plan of a HAR file's manifest with the chosen streams, all streams, True for those in it, and notes."""
    calls, notes = list_calls(text)
    origins = Counter[str]()
    for entry in calls:
        origins[origin_of(entry.call.url)] += 1 + len(entry.others)
    main = origins.most_common(1)[0][0]
    calls = [entry for entry in calls if origin_of(entry.call.url) == main]
    if others := [origin for origin in origins if origin != main]:
        notes.append(f"The streams are those of {main}; calls to {', '.join(sorted(others)[:5])} are left out.")
    plan = ManifestPlan(name_of(main), main)
    plan.heading = [f"{urlsplit(main).hostname}, from the calls of a HAR file."]
    reader = CallReader(plan)
    streams: list[StreamPlan] = []
    for entry in calls:
        stream = stream_of(reader, entry)
        stream.name = unique(stream.name, [known.name for known in streams])
        streams.append(stream)
    names = [stream.name for stream in streams]
    if unknown := sorted(set(chosen) - set(names)):
        raise ConfigError(f"the file has no list called {unknown[0]}", hint=f"It has {', '.join(names)[:500]}.")
    wanted = set(chosen) or set(names[:most])
    plan.streams = [stream for stream in streams if stream.name in wanted]
    return plan, [(stream, stream.name in wanted) for stream in streams], [*notes, *reader.notes]


def stream_of(reader: CallReader, entry: ListCall) -> StreamPlan:
    stream = reader.stream(entry.call)
    stream.records = entry.records
    rows = [row for row in entry.rows if isinstance(row, Mapping)]
    key = key_of(rows, stream.name)
    stream.primary_key = [key] if key else []
    stream.schema = infer_schema(rows, stream.primary_key)
    if stream.method == "GET" and stream.paginator is None:
        stream.paginator = paginator_of(stream, entry)
    return stream


def paginator_of(stream: StreamPlan, entry: ListCall) -> dict[str, Any] | None:
    """The paging that an answer shows, or several calls together. Parameters that it fills leave the stream."""
    if "next" in links(entry.headers.get("link", "")):
        return paging.by_link_header()
    if (address := next_address(entry.answer)) is not None:
        path, value = address
        origin = origin_of(entry.call.url)
        if value.startswith(("/", origin)):
            return paging.by_address(path)
    for path, value in next_cursors(entry.answer):
        for other in entry.others:
            for name, sent in parse_qsl(urlsplit(other.url).query):
                if sent == str(value):
                    stream.parameters.pop(name, None)
                    return paging.by_cursor(name, path, more=more_flag(entry.answer), end=end_flag(entry.answer))
        name = paging.parameter(list(stream.parameters), paging.CURSOR_NAMES)
        if name:
            stream.parameters.pop(name, None)
            return paging.by_cursor(name, path, more=more_flag(entry.answer), end=end_flag(entry.answer))
    return None

"""Decide whether a page without records is empty, or has another structure than the manifest expects.

Airbyte's engine takes both for the end of a stream (airbyte-cdk 7.39.1, dpath_extractor.py: a path without a match
gives no record). A page is empty if the place of the records holds an empty list or object, or if their name is missing
among others: some APIs omit an empty list (Google's do), and PHP writes an empty object as `[]`. An empty object as the
whole page, and null, false or an empty text instead of the list, are not empty pages: a failing server returns these.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

LOOKED_AT = 20
"""How many values of a list are examined."""
EXCERPT = 200
ERRORS = ("error", "errors", "fault")
NO_ERROR = frozenset({"", "none", "null", "ok", "success", "false", "0", "200", "no error"})
FAILED = frozenset({"error", "fail", "failed", "failure"})
MESSAGES = ("message", "msg", "detail", "reason", "error_message", "errorMessage", "description", "title", "code")


def doubt(bodies: Sequence[Any], path: Sequence[Any], names: Collection[str], listed: bool, had_records: bool) -> str:
    """The reason why a page is not simply empty, as the end of a sentence about the response; empty text for none.

    `bodies`: the decoded values without a match at `path` (with an empty path: or one object that was taken for a
    record). `listed`: they are the elements of a list. `names`: the known fields of every record. `had_records`: the
    path has matched records in this read.
    """
    bodies = bodies[:LOOKED_AT]
    if not path:
        return _doubt_of_record(bodies, names, listed)
    if listed and bodies and all(isinstance(body, dict) for body in bodies) and not _has_name(bodies, path[0]):
        likely = not had_records and _look_like_records(bodies, names)
        return f"is a list of objects, an object with `{_path_text(path)}` is expected" if likely else ""
    for body in bodies:
        if listed and body == {}:
            continue
        if not isinstance(body, dict | list):
            return f"{_description(body, listed)}, an object with `{_path_text(path)}` is expected"
        reason = _doubt_at(body, body, path, 0, names, had_records)
        if reason:
            return reason
    return ""


def _doubt_of_record(bodies: Sequence[Any], names: Collection[str], listed: bool) -> str:
    for body in bodies:
        if not isinstance(body, dict | list):
            return f"{_description(body, listed)}, records are expected"
        if body == {} and names and not listed:
            return "is an empty object, records are expected"
        error = "" if listed or not names or _look_like_records([body], names) else error_in(body)
        if error:
            return f"reports an error instead of records: {error}"
    return ""


def _doubt_at(body: Any, value: Any, path: Sequence[Any], at: int, names: Collection[str], had_records: bool) -> str:
    for index in range(at, len(path)):
        name = path[index]
        if isinstance(value, list | dict) and not value:
            if value == {} and name != "*":
                where = f"an empty object at `{_path_text(path[:index])}`" if index else "nothing in it"
                return f"has {where}, `{_path_text(path)}` is expected"
            return ""
        if _is_empty(value):
            error = error_in(body)
            if error:
                return f"has nothing at `{_path_text(path)}` and reports an error: {error}"
            return (
                f"has {_kind(value)} at `{_path_text(path[:index])}`, an object with `{_path_text(path)}` is expected"
            )
        if not isinstance(value, dict | list):
            return (
                f"has {_kind(value)} at `{_path_text(path[:index])}`, an object with `{_path_text(path)}` is expected"
            )
        if name == "*":
            inner = list(value.values() if isinstance(value, dict) else value)[:LOOKED_AT]
            reasons = (_doubt_at(body, member, path, index + 1, names, had_records) for member in inner)
            return next(filter(None, reasons), "")
        if isinstance(value, list):
            if not str(name).lstrip("-").isdigit():
                where = f"a list at `{_path_text(path[:index])}`" if index else "a list"
                return f"has {where}, an object with `{_path_text(path)}` is expected"
            if not -len(value) <= int(name) < len(value):
                return ""
            value = value[int(name)]
            continue
        key = name if name in value else str(name)
        if key not in value:
            return _missing_name(body, value, path, names, had_records)
        value = value[key]
    if isinstance(value, dict | list):
        return ""
    error = error_in(body)
    if error:
        return f"has nothing at `{_path_text(path)}` and reports an error: {error}"
    return f"has {_kind(value)} at `{_path_text(path)}`, records are expected"


def _missing_name(body: Any, holder: Any, path: Sequence[Any], names: Collection[str], had_records: bool) -> str:
    error = error_in(body)
    if error:
        return f"has no `{_path_text(path)}` and reports an error: {error}"
    if had_records:
        return ""
    for place in (holder, body) if holder is not body else (body,):
        for name, value in place.items() if isinstance(place, dict) else ():
            if isinstance(value, list) and value and _look_like_records(value[:LOOKED_AT], names):
                return f"has no `{_path_text(path)}`, and at `{name}` {len(value)} objects that look like the records"
    return ""


def error_in(body: Any) -> str:
    """The error that a response with a good status reports, or an empty text."""
    if not isinstance(body, dict):
        return ""
    for name in ERRORS:
        value = body.get(name)
        sentence = _sentence(value)
        if isinstance(value, dict) and str(value.get("code", "error")).lower() in NO_ERROR:
            continue
        if sentence and sentence.lower() not in NO_ERROR:
            return sentence[:EXCERPT]
    for name in ("ok", "success"):
        if name in body and str(body[name]).lower() == "false":
            return _message(body, f"{name} is false")
    if str(body.get("status", "")).lower() in FAILED:
        return _message(body, f"status is {body['status']}")
    return ""


def _message(body: dict[str, Any], else_: str) -> str:
    return next(filter(None, (_sentence(body[key]) for key in MESSAGES if key in body)), else_)[:EXCERPT]


def _sentence(value: Any, depth: int = 0) -> str:
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, bool | int | float):
        return str(value).lower() if value else ""
    if depth > 3 or not value:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_sentence(part, depth + 1) for part in value[:3])))
    inner = (value[key] for key in (*MESSAGES, *ERRORS) if value.get(key))
    return next(filter(None, (_sentence(part, depth + 1) for part in inner)), "an object")


def _look_like_records(values: Sequence[Any], names: Collection[str]) -> bool:
    """Whether these are objects with the fields of every record."""
    return all(isinstance(value, dict) and bool(value) and all(name in value for name in names) for value in values)


def _is_empty(value: Any) -> bool:
    return value is None or value is False or value == "" or value == [] or value == {}


def _description(value: Any, listed: bool) -> str:
    return f"is a list with {_kind(value)} in it" if listed else f"is {_kind(value)}"


def _has_name(bodies: Sequence[Any], name: Any) -> bool:
    return name == "*" or any(name in body or str(name) in body for body in bodies)


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return "a text" if value else "an empty text"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"


def _path_text(path: Sequence[Any]) -> str:
    return ".".join(map(str, path))

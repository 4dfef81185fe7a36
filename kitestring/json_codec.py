"""The one reader and writer of JSON: what arrives in a page, a message or a file is the value that was sent.

orjson does the work wherever its answer is right. What it would change or refuse goes through a slower exact path:

- a whole number is an `int` of any size; a number with a fraction or an exponent is a `float` where the shortest text
  of the float is the same number, else a `decimal.Decimal` with all digits (`1e400` too). Only below 2.3e-308, where
  floats end, a number is the nearest float;
- the words `NaN`, `Infinity` and `-Infinity`, which are no JSON, are read as floats, and floats without a number are
  written as the texts `"NaN"`, `"Infinity"` and `"-Infinity"`, which every reader of JSON takes;
- half of a surrogate pair, which UTF-8 cannot hold, becomes U+FFFD, when it is read and when it is written;
- a byte order mark is taken off; UTF-16 and UTF-32 are read as such;
- nesting of any depth is read; more than 1,000 levels are written only where that is asked for, since usual readers of
  JSON take no more.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import marshal
import math
import operator
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

import orjson

FEW = 64
"""So many long numbers of a page are looked at one by one."""

INT64 = range(-(2**63), 2**64)
LONG_INTEGER = 18
"""Every integer of so many characters is one of 64 bits."""

LONG_NUMBER = 17
"""From so many digits (and a point) on, a float may not be the number. 15 significant digits always survive; 16 without
a point are looked at where an exponent follows."""

INT_DIGITS = 4300
"""The most digits that Python reads as an int, a limit against attacks. Longer numbers are decimals."""

MOST_LEVELS = 1_000
"""The nesting that common JSON readers accept."""

ANY_DEPTH = 1_000_000
"""As `levels` of `dumps`: all but a value that holds itself."""

TINY = sys.float_info.min
"""Nearer to zero than this, a float has few digits left: a number there is the nearest float, at last zero."""

SPECIAL_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

_LINE_BREAK: Any = orjson.Fragment(b"\n")
_TO_ZEROS = bytes(0x30 if byte in b"0123456789." else 0x20 if byte in b" \t\r\n:,[" else byte for byte in range(256))
_NO_NUMBER = bytes(byte for byte in range(256) if byte not in b"0123456789.-")
_LONG_NUMBERS = tuple(
    sign + digits
    for sign in (b" ", b" -")
    for digits in (b"0" * LONG_NUMBER, b"0" * (LONG_NUMBER - 1) + b"e", b"0" * (LONG_NUMBER - 1) + b"E")
)
_STRIDE = 4
_SAMPLED = b"0" * (LONG_NUMBER // _STRIDE)
_ESCAPE = re.compile(r"\\(?:[^u]|u(?:[dD][89abAB]..\\u[dD][c-fC-F]..|([dD][89a-fA-F][0-9a-fA-F]{2})|....))", re.DOTALL)
_FIVE_DIGITS = re.compile(rb'\.\d{5}"')
_SHORT_TIME = re.compile(rb':\d\d\.\d{5}"')
_SURROGATE = re.compile("[\ud800-\udfff]")
_NUMBER_BYTES = re.compile(rb"-?\d+((?:\.\d+)?(?:[eE][-+]?\d+)?)")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
_SPACE = re.compile(r"[ \t\n\r]*")


class JsonError(ValueError):
    """A text that is no JSON. The message says what is wrong and where; it holds nothing of the text."""


class TooDeepError(JsonError):
    """A value of more levels than were allowed."""


# -- reading -----------------------------------------------------------------------------------------------------------


def loads(data: bytes | bytearray | memoryview | str) -> Any:
    """The value of a JSON text. `JsonError` if it is not valid JSON."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return _read_exactly(data)
    raw = data.encode() if isinstance(data, str) else data if isinstance(data, bytes) else bytes(data)
    return value if _is_exact(raw, value) else _read_exactly(raw)


def _is_exact(raw: bytes, value: Any) -> bool:
    """True where orjson kept all digits of all numbers; the check costs about a tenth of reading them."""
    # Every fourth byte is enough to miss no long number.
    if len(raw) < LONG_NUMBER or _SAMPLED not in raw[::_STRIDE].translate(_TO_ZEROS):
        return True
    zeros = b" " + raw.translate(_TO_ZEROS)
    places = [place for number in _LONG_NUMBERS for place in _places(zeros, number)]
    if len(places) < FEW:
        return all(_is_kept(raw, place) for place in places)
    # Written again it shows the same digits, unless a float has lost some (or a text is escaped another way).
    return raw.translate(None, _NO_NUMBER) == orjson.dumps(value).translate(None, _NO_NUMBER)


def _places(text: bytes, part: bytes) -> Iterator[int]:
    """The positions of the part in the text, at most `FEW`."""
    place = -1
    for _ in range(FEW):
        place = text.find(part, place + 1)
        if place < 0:
            return
        yield place


def _is_kept(raw: bytes, place: int) -> bool:
    match = _NUMBER_BYTES.match(raw, place)
    if match is None:  # it is inside a string
        return True
    if not match[1]:
        return len(match[0]) <= LONG_INTEGER or int(match[0]) in INT64
    return isinstance(_number(match[0].decode()), float)


def _read_exactly(data: bytes | bytearray | memoryview | str) -> Any:
    text = without_surrogates(data.removeprefix("\ufeff") if isinstance(data, str) else _decoded(bytes(data)))
    if "\\u" in text:
        text = _ESCAPE.sub(lambda match: "\\ufffd" if match[1] else match[0], text)
    try:
        return json.loads(text, parse_int=_integer, parse_float=_number)
    except json.JSONDecodeError as error:
        raise JsonError(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        return _read_deep(text)


def _decoded(data: bytes) -> str:
    try:
        text = data.decode(json.detect_encoding(data), "surrogatepass")
    except UnicodeDecodeError as error:
        raise JsonError(f"{error.reason} in {error.encoding.upper()} at byte {error.start}") from None
    return text.removeprefix("\ufeff")


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for each lone surrogate (a pair in two halves is joined)."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= INT_DIGITS else Decimal(text)


def _number(text: str) -> float | Decimal:
    number = float(text)
    exact = Decimal(text)
    if abs(number) < TINY or (math.isfinite(number) and exact == Decimal(repr(number))):
        return number
    return exact


def _read_deep(text: str) -> Any:
    """A reader that keeps its own stack, for nesting beyond Python's."""
    whole: list[Any] = []
    stack: list[tuple[list[Any] | dict[str, Any], str]] = []
    container: list[Any] | dict[str, Any] = whole
    key, place = "", 0

    def add(value: Any) -> None:
        if isinstance(container, dict):
            container[key] = value
        else:
            container.append(value)

    try:
        while True:
            place = _SPACE.match(text, place).end()  # type: ignore[union-attr]
            if isinstance(container, dict) and text[place] != "}":
                key, place = scanstring(text, place + 1, True) if text[place] == '"' else _no_json(place)
                place = _SPACE.match(text, place).end()  # type: ignore[union-attr]
                place = place + 1 if text[place] == ":" else _no_json(place)
                place = _SPACE.match(text, place).end()  # type: ignore[union-attr]
            letter = text[place]
            if letter in "{[":
                inner: list[Any] | dict[str, Any] = {} if letter == "{" else []
                add(inner)
                stack.append((container, key))
                container, place = inner, place + 1
                if text[_SPACE.match(text, place).end()] not in "}]":  # type: ignore[union-attr]
                    continue
                place = _SPACE.match(text, place).end()  # type: ignore[union-attr]
            elif letter == '"':
                value, place = scanstring(text, place + 1, True)
                add(value)
            else:
                value, place = _scalar(text, place)
                add(value)
            # Behind a value: containers that end here, then a comma or the end of the text.
            while True:
                place = _SPACE.match(text, place).end()  # type: ignore[union-attr]
                if not stack:
                    return whole[0] if place == len(text) else _no_json(place)
                if text[place] != ("}" if isinstance(container, dict) else "]"):
                    break
                container, key = stack.pop()
                place += 1
            place = place + 1 if text[place] == "," else _no_json(place)
    except IndexError:
        raise JsonError(f"the text ends at character {len(text)}, in the middle of a value") from None
    except json.JSONDecodeError as error:
        raise JsonError(f"{error.msg} at character {error.pos}") from None


def _scalar(text: str, place: int) -> tuple[Any, int]:
    for literal, value in {"null": None, "true": True, "false": False, **SPECIAL_FLOATS}.items():
        if text.startswith(literal, place):
            return value, place + len(literal)
    match = _NUMBER.match(text, place) or _no_json(place)
    return (_number if match[1] or match[2] else _integer)(match[0]), match.end()


def _no_json(place: int) -> Any:
    raise JsonError(f"no JSON at character {place}")


# -- writing -----------------------------------------------------------------------------------------------------------


def dumps(value: Any, *, sort_keys: bool = False, indent: bool = False, levels: int = MOST_LEVELS) -> bytes:
    """The JSON text of any value that a record may hold. `TooDeepError` above so many levels of nesting.

    Whole numbers of any size and decimals are numbers with all their digits; bytes are base64; dates and times are in
    ISO 8601; a set or a tuple is an array; what JSON and this list do not know is its `str`.
    """
    options = orjson.OPT_NON_STR_KEYS
    if sort_keys or indent:
        options |= (orjson.OPT_SORT_KEYS if sort_keys else 0) | (orjson.OPT_INDENT_2 if indent else 0)
    try:
        text = _by_orjson(value, options)
    except (TypeError, RecursionError):  # integers beyond 64 bits, half surrogates, deep nesting
        return _write_exactly(value, sort_keys, indent, levels).encode()
    if b"null" in text and _may_hold_special_floats(value):  # of NaN and infinity orjson makes null
        return _write_exactly(value, sort_keys, indent, levels).encode()
    return text


def _by_orjson(value: Any, options: int) -> bytes:
    text = orjson.dumps(value, default=_for_orjson, option=options)
    if _FIVE_DIGITS.search(text) and _SHORT_TIME.search(text):
        # Of 00:00:00.010000 orjson 3.13 makes 00:00:00.10000, which is another time: it gets such values as texts.
        return orjson.dumps(value, default=_for_orjson, option=options | orjson.OPT_PASSTHROUGH_DATETIME)
    return text


def dumps_text(value: Any, *, sort_keys: bool = False, indent: bool = False, levels: int = MOST_LEVELS) -> str:
    """`dumps` as a text."""
    return dumps(value, sort_keys=sort_keys, indent=indent, levels=levels).decode()


def text_of(value: Any) -> str:
    """A value as a text: what is a text, or one in JSON (bytes, dates, NaN), is itself, all else its JSON text."""
    if type(value) is not str and not isinstance(value, dict | list | int | float | Decimal):
        value = plain(value)
    if isinstance(value, str):
        return without_surrogates(value)
    text = dumps_text(value)
    return text[1:-1] if text.startswith('"') else text


def lines(values: Sequence[Any]) -> bytes:
    """The JSON texts of these values as `dumps` makes them, each with a line break behind it.

    One call of orjson for all of them takes a tenth of the time of a call for each.
    """
    if not values:
        return b""
    items = [_LINE_BREAK] * (2 * len(values))
    items[::2] = values
    try:
        text = _by_orjson(items, orjson.OPT_NON_STR_KEYS)
    except (TypeError, RecursionError):
        return b"".join([dumps(value) + b"\n" for value in values])
    if b"null" in text and text.count(b"null") != _nulls(values) and _holds_special_floats(values):
        return b"".join([dumps(value) + b"\n" for value in values])
    # No text of JSON holds a line break: there are only those between the values, as items of their own.
    return text[1:-3].replace(b",\n,", b"\n") + b"\n"


def texts(values: Sequence[Any]) -> list[str | None]:
    """The JSON text of each value but None, which stays None; as `lines` makes them."""
    present = [value for value in values if value is not None]
    if len(present) == len(values):
        return lines(present).decode().split("\n")[:-1]  # type: ignore[return-value]
    written = iter(lines(present).decode().split("\n"))
    return [None if value is None else next(written) for value in values]


def _nulls(values: Sequence[Any]) -> int:
    """The number of nulls among values and their fields: fewer than in their JSON where deeper ones or floats exist."""
    try:
        return sum(operator.countOf(value.values() if isinstance(value, dict) else (value,), None) for value in values)
    except ValueError:  # an array of numpy's is neither None nor not None
        return 0


def plain(value: Any) -> Any:
    """The JSON substitute for a Python value that JSON does not have: a text, a list or a dict. Decimals stay."""
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):  # numpy's arrays and scalars
        return value.tolist()
    return str(value)


def decimal_text(value: Decimal) -> str:
    """A decimal as a JSON number, or as a string for NaN and infinity."""
    if value.is_finite():
        return str(value)
    return '"NaN"' if value.is_nan() else '"Infinity"' if value > 0 else '"-Infinity"'


def float_text(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'


def _for_orjson(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(decimal_text(value))
    if isinstance(value, float):
        return orjson.Fragment(float_text(value))
    simple = plain(value)
    if not isinstance(simple, str) and _holds_special_floats(simple):
        raise TypeError("orjson would write null")  # `_write_exactly` has it then
    return simple


def _may_hold_special_floats(value: Any) -> bool:
    """Marshal shows floats as their eight bytes; the last is 7f or ff in NaN and infinity, and in few other values."""
    try:
        text = marshal.dumps(value, 2)
    except ValueError:  # decimals, dates, deep nesting
        return _holds_special_floats(value)
    return (b"\x7f" in text or b"\xff" in text) and _holds_special_floats(value)


def _holds_special_floats(value: Any) -> bool:
    values: list[Any] = [value]
    for item in values:  # grows while it is walked
        if isinstance(item, float):
            if not math.isfinite(item):
                return True
        elif isinstance(item, dict):
            values.extend(item.values())
        elif isinstance(item, list | tuple):
            values.extend(item)
    return False


def _write_exactly(value: Any, sort_keys: bool, indent: bool, levels: int) -> str:
    """A writer that keeps its own stack and takes every value."""
    parts: list[str] = []
    stack: list[tuple[Iterator[tuple[str, Any]], str]] = []  # the rest of each open container, and what closes it
    _write(value, parts, stack, sort_keys, indent)
    while stack:
        if len(stack) > levels:
            raise TooDeepError(f"the value has more than {levels:,} levels of nesting")
        rest, closing = stack[-1]
        for prefix, inner in rest:
            parts.append(prefix)
            depth = len(stack)
            _write(inner, parts, stack, sort_keys, indent)
            if len(stack) > depth:
                break
        else:
            parts.append(closing)
            stack.pop()
    return "".join(parts)


def _write(
    value: Any, parts: list[str], stack: list[tuple[Iterator[tuple[str, Any]], str]], sort_keys: bool, indent: bool
) -> None:
    writer = _SCALARS.get(type(value))
    if writer is not None:
        parts.append(writer(value))
    elif isinstance(value, dict | list):
        opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
        if indent and value:
            line = "\n" + "  " * len(stack)
            opening, comma, closing = f"{opening}{line}  ", f",{line}  ", f"{line}{closing}"
        else:
            comma = ","
        colon = ": " if indent else ":"
        if isinstance(value, dict):
            named = [(key if type(key) is str else _key(key), inner) for key, inner in value.items()]
            if sort_keys:
                named.sort(key=lambda item: item[0])
            items = [(_string(key) + colon, inner) for key, inner in named]
        else:
            items = [("", inner) for inner in value]
        parts.append(opening)
        rest = (((comma if n else "") + prefix, inner) for n, (prefix, inner) in enumerate(items))
        stack.append((rest, closing))
    else:
        for kind, write in _SCALARS.items():  # subclasses: enums of texts, pandas' timestamps
            if isinstance(value, kind):
                parts.append(write(value))
                return
        _write(plain(value), parts, stack, sort_keys, indent)


def _key(key: Any) -> str:
    """The name of a field whose key is no text, as orjson writes it."""
    text = str(key) if isinstance(key, Decimal) else dumps_text(key)
    return text[1:-1] if text[:1] == '"' else text


def _string(text: str) -> str:
    return orjson.dumps(without_surrogates(str(text))).decode()


_SCALARS: dict[type, Callable[[Any], str]] = {
    str: _string,
    bool: lambda value: "true" if value else "false",
    int: lambda value: str(Decimal(int(value))) if abs(value) >= 10**INT_DIGITS else int.__repr__(value),
    float: float_text,
    Decimal: decimal_text,
    type(None): lambda _: "null",
}

"""The one reader and writer of JSON."""

import datetime as dt
import json
import math
from decimal import Decimal
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitestring.json_codec import ANY_DEPTH, JsonError, TooDeepError, dumps, dumps_text, lines, loads, texts


def same(value, expected):
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9223372036854775807", 2**63 - 1),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 2**64),
        ("-9223372036854775809", -(2**63) - 1),
        ("-123456789012345678901", -123456789012345678901),
        ("0.1", 0.1),
        ("0.30000000000000004", 0.30000000000000004),
        ("0.10000000000000001", Decimal("0.10000000000000001")),
        ("7457243244.0212202", Decimal("7457243244.0212202")),
        ("52.520006599999995", 52.520006599999995),
        ("1234567890123.456789", Decimal("1234567890123.456789")),
        ("-0.12345678901234567890123456789012345678", Decimal("-0.12345678901234567890123456789012345678")),
        ("12345678901234567890.5", Decimal("12345678901234567890.5")),
        ("1e400", Decimal("1e400")),
        ("12345678901234567e1", Decimal("12345678901234567e1")),
        ("-12345678901234567890E-3", Decimal("-12345678901234567890e-3")),
        ("9007199254740993e0", Decimal("9007199254740993")),
        ("9007199254740992E0", 2.0**53),
        ("1e5", 1e5),
        ("1e-400", 0.0),
    ],
)
@pytest.mark.parametrize("frame", ["{}", " {} ", "[{}]", '{{"a":{}}}', "[1,\n{}]", '{{"text": "é \\u00e9", "a": {} }}'])
def test_a_number_is_the_number_that_was_sent(text, value, frame):
    read = loads(frame.format(text).encode())
    while isinstance(read, dict | list):
        read = read[-1] if isinstance(read, list) else read["a"]
    same(read, value)


def test_one_long_number_among_many_records_is_found():
    rows = [{"id": n, "at": "2024-05-01T10:00:00.123456Z", "text": "call 12345678901234567890"} for n in range(1000)]
    rows[700]["id"] = 2**64
    assert loads(json.dumps(rows).encode()) == rows
    rows[701]["price"] = Decimal("0.1234567890123456789")
    assert loads(dumps(rows)) == rows
    many = [{"lat": 52.520006599999995, "lon": 13.404953999999975} for _ in range(1000)]
    assert loads(dumps(many)) == many
    many[500]["lat"] = Decimal("52.52000659999999512345")
    assert loads(dumps(many)) == many


def test_an_endless_number_is_no_attack():
    digits = "1" * 100_000
    assert str(loads(digits)) == digits
    assert loads("1e1000000000") == Decimal("1e1000000000")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'"cut \\ud83d"', "cut \ufffd"),
        (b'"cut \\ude00 here"', "cut \ufffd here"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\\\ud83d"', "\\ud83d"),
        (b'"\\\\\\ud83d"', "\\\ufffd"),
        (b'"\\ud83d\\ud83d\\ude00"', "\ufffd\U0001f600"),
        (b'{"\\ud83d": 1}', {"\ufffd": 1}),
        (b'"a\\u0000b"', "a\x00b"),
        ('"cut \ud83d"', "cut \ufffd"),
        (b"\xef\xbb\xbf[1]", [1]),
        ("\ufeff[1]", [1]),
        ('{"a": "é"}'.encode("utf-16"), {"a": "é"}),
        ('{"a": "é"}'.encode("utf-32"), {"a": "é"}),
        (b"[Infinity, -Infinity]", [math.inf, -math.inf]),
        (b'{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_what_other_readers_refuse_is_read(text, value):
    same(loads(text), value)


def test_nan_is_read_as_a_float():
    assert math.isnan(loads(b"[NaN]")[0])


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[1,]", b'{"a" 1}', b"<html>", b"nul", b"[1 2]", b"'a'", b'"\xe9"', b"01", b'"a\nb"', b"[1]x"],
)
def test_what_is_no_json_is_an_error_without_the_text(text):
    with pytest.raises(JsonError) as caught:
        loads(text)
    assert "html" not in str(caught.value)


@pytest.mark.parametrize("levels", [1_500, pytest.param(20_000, marks=pytest.mark.slow)])
def test_nesting_of_any_depth_is_read_and_written_where_that_is_asked_for(levels):
    for text in (
        '{"n":' * levels + '[1,{"x":"\\"y"},[],{},null,true,-1.5e3,123456789012345678901]' + "}" * levels,
        "[" * levels + "]" * levels,
        '[1,{"a":' * levels + "{}" + "}]" * levels,
    ):
        value = loads(text)
        assert dumps_text(value, levels=ANY_DEPTH) == text.replace("-1.5e3", "-1500.0")
        with pytest.raises(TooDeepError, match="1,000 levels"):
            dumps(value)


@pytest.mark.parametrize(
    "end", ["]" * 1999 + "}", "]" * 1999, "]" * 2001, "]" * 2000 + " x", ",1" + "]" * 1999, "1" + "]" * 2000]
)
def test_deep_nesting_that_is_broken_is_an_error(end):
    with pytest.raises(JsonError):
        loads("[" * 2000 + "1 " + end)


def test_what_json_does_not_know_is_written_in_one_way():
    at = dt.datetime(2024, 5, 1, 10, tzinfo=dt.UTC)
    record = {
        "big": 2**70, "price": Decimal("1.10"), "huge": Decimal("1E+400"), "nan": math.nan, "inf": -math.inf,
        "no": Decimal("NaN"), "photo": b"\x89PNG", "none": None, "pair": (1, 2), "at": at, "day": at.date(),
        "cut": "\ud83d", "halves": "\ud83d\ude00", 1: "key", "minus": -0.0,
    }  # fmt: skip
    expected = (
        '{"big":1180591620717411303424,"price":1.10,"huge":1E+400,"nan":"NaN","inf":"-Infinity","no":"NaN",'
        '"photo":"iVBORw==","none":null,"pair":[1,2],"at":"2024-05-01T10:00:00+00:00","day":"2024-05-01",'
        '"cut":"\ufffd","halves":"\U0001f600","1":"key","minus":-0.0}'
    )
    assert dumps_text(record) == expected
    # Without what orjson refuses, the same.
    for name in ("big", "cut", "halves"):
        del record[name]
    assert json.loads(dumps(record)) == {k: v for k, v in json.loads(expected).items() if k in map(str, record)}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.array([math.nan, 1.5]), '["NaN",1.5]'),
        (np.float32("inf"), '"Infinity"'),
        (MappingProxyType({"a": -math.inf}), '{"a":"-Infinity"}'),
        ({math.nan}, '["NaN"]'),
        (np.array([0.5]), "[0.5]"),
    ],
)
def test_floats_without_a_number_are_words_inside_of_any_container(value, text):
    assert dumps({"v": value}).decode() == f'{{"v":{text}}}'
    assert lines([{"v": value}]).decode() == f'{{"v":{text}}}\n'


def test_a_value_that_holds_itself_is_refused():
    value: list[object] = [2**70]
    value.append(value)
    with pytest.raises(TooDeepError, match="levels"):
        dumps(value)


numbers = st.decimals(allow_nan=False, allow_infinity=False).filter(lambda n: not n or abs(n) > Decimal("1e-300"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | numbers | st.floats(-1e300, 1e300) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def digits(value):
    """The value with its floats as the decimals that they show."""
    match value:
        case float():
            return Decimal(repr(value)) if abs(value) > 1e-300 else 0
        case dict():
            return {key: digits(inner) for key, inner in value.items()}
        case list():
            return [digits(inner) for inner in value]
    return value


@given(json_values)
def test_what_is_written_is_read_again(value):
    assert digits(loads(dumps(value))) == digits(value)
    assert digits(loads(dumps(value, sort_keys=True))) == digits(value)


def test_a_file_for_people_has_lines() -> None:
    record = {"b": [1, {"c": []}], "a": {}}
    assert (
        dumps(record, indent=True, sort_keys=True)
        == b'{\n  "a": {},\n  "b": [\n    1,\n    {\n      "c": []\n    }\n  ]\n}'
    )
    long = {**record, "b": [2**70, {"c": []}]}
    assert dumps(long, indent=True) == dumps(record, indent=True).replace(b"1", str(2**70).encode())


def test_lines_and_texts_are_what_dumps_makes_of_each_value():
    values = [
        {"a": None, "b": [None, "null", "line\nbreak"]},
        {"n": 2**70, "t": "cut \ud83d"},
        {"f": float("nan")},
        {"d": Decimal("1.10"), 1: b"x"},
        [],
        "null",
        {},
    ]
    for some in (
        [],
        values,
        *([value] for value in values),
        [values[0], values[2]],
        [{"x": [float("inf")]}, {"x": None}],
    ):
        expected = [dumps_text(value) for value in some]
        assert lines(some) == "".join(text + "\n" for text in expected).encode()
        assert texts(some) == expected
    assert texts([None, {"a": 1}, None]) == [None, '{"a":1}', None]


def test_a_time_keeps_the_zeros_of_its_microseconds() -> None:
    for microsecond in (1, 12, 123, 1234, 10_000, 54_321, 99_999, 100_000, 999_999):
        time = dt.time(1, 2, 3, microsecond)
        assert loads(dumps({"t": time})) == {"t": time.isoformat()}
        assert loads(lines([{"t": [time], "at": dt.datetime(2024, 1, 1), "text": ':00.12345"'}]))["t"] == [
            time.isoformat()
        ]

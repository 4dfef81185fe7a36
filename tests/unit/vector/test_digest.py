"""Digests change when what they stand for changes, and only then."""

from __future__ import annotations

from datetime import date

from kitestring.vector.digest import digest, metadata_digest, text_digest


def test_parts_are_framed() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert len(digest("")) == 32


def test_a_text_s_digest_depends_on_model_chunking_and_text() -> None:
    same = text_digest("m", "c", "t")
    assert same == text_digest("m", "c", "t")
    assert len({same, text_digest("n", "c", "t"), text_digest("m", "d", "t"), text_digest("m", "c", "u")}) == 4


def test_digests_are_the_same_in_every_process_and_release() -> None:
    assert text_digest("model", "chunking", "text") == "6e314057c5af59ccce797aafa0376c8c"
    assert metadata_digest({"b": 1, "a": [True, None, 1.5, "é"]}) == "c1856b85192be3e8d60b671493fd8cfc"


def test_metadata_in_another_order_is_the_same_metadata() -> None:
    assert metadata_digest({"a": 1, "b": {"x": 1, "y": 2}}) == metadata_digest({"b": {"y": 2, "x": 1}, "a": 1})
    assert metadata_digest({"a": 1}) != metadata_digest({"a": "1"})


def test_metadata_that_json_does_not_know_has_a_digest() -> None:
    assert metadata_digest({"a": 2**80, "b": date(2026, 1, 1), "c": "\ud800", "d": {1}})

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stand_ins.reranker import KEY, RerankerStandIn

from kitestring.errors import ConfigError, ConnectorError, TransientError
from kitestring.retrieval.highlight import highlights
from kitestring.retrieval.passage_retrieval import BY_MEANING, Retrieval, retrieve
from kitestring.retrieval.ranking import RankedHit, by_record, fused
from kitestring.retrieval.reranker import Reranker
from tests.unit.retrieval.help_center import help_center
from tests.unit.vector.memory_store import Memory


@pytest.fixture(scope="module")
def center(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    return help_center(tmp_path_factory.mktemp("center"))


@pytest.fixture(scope="module")
def reranker() -> Iterator[RerankerStandIn]:
    with RerankerStandIn() as stand_in:
        yield stand_in


def test_passages_lead_to_their_record_chunk_and_address(center: Memory) -> None:
    found = retrieve(center, "how long is an account locked?", Retrieval(stream="articles", limit=2))
    first = found.passages[0]
    assert (first.number, first.stream, first.record_id, first.title) == (
        1,
        "articles",
        "articles_1",
        "Locked accounts",
    )
    assert first.url == "https://help.example/1"
    assert [first.text[start:end] for start, end in first.highlights][:2] == ["Locked", "accounts"]
    (chunk,) = center.record_chunks("articles", "articles_1")
    assert chunk["id"] == first.chunk_id
    assert [passage.number for passage in found.passages] == list(range(1, len(found.passages) + 1))
    assert found.notes == [BY_MEANING]


def test_an_address_that_runs_a_program_is_no_link(center: Memory) -> None:
    (passage,) = retrieve(center, "export of a workspace", Retrieval(stream="articles", limit=1)).passages
    assert (passage.record_id, passage.url) == ("articles_2", "")


def test_a_marked_record_is_no_passage_unless_it_is_asked_for(center: Memory) -> None:
    question = "passwords by fax"
    assert "articles_4" not in {p.record_id for p in retrieve(center, question, Retrieval(limit=20)).passages}
    (first, *_) = retrieve(center, question, Retrieval(include_deleted=True)).passages
    assert first.record_id == "articles_4"


def test_filters_and_limits_hold(center: Memory) -> None:
    found = retrieve(center, "account locked", Retrieval(where={"status": "new"}, limit=1))
    assert [passage.record_id for passage in found.passages] == ["tickets_1"]
    with pytest.raises(ConfigError, match="limit is 0"):
        Retrieval(limit=0)
    with pytest.raises(ConfigError, match="index of words"):
        retrieve(center, "account", Retrieval(hybrid=True))


def test_what_two_rankings_have_near_their_top_comes_first() -> None:
    rankings = [[{"id": name} for name in names] for names in ("abc", "xbc", "")]
    assert [entry.hit["id"] for entry in fused(rankings)] == ["b", "c", "a", "x"]


def test_chunks_of_a_record_without_an_id_go_by_its_address() -> None:
    hits = [
        {"id": 1, "record_id": "tickets_1"},
        {"id": 2, "html_url": "https://x/2"},
        {"id": 3, "record_id": "tickets_1", "html_url": "https://x/1"},
        {"id": 4},
        {"id": 5, "html_url": "https://x/2"},
        {"id": 6},
    ]
    records = by_record([RankedHit(hit, 1.0) for hit in hits])
    assert [[entry.hit["id"] for entry in record.chunks] for record in records] == [[1, 3], [2, 5], [4], [6]]


def test_a_collection_without_texts_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="have no text") as error:
        retrieve(help_center(tmp_path, omit_raw_text=True), "account", Retrieval())
    assert "omit_raw_text" in error.value.hint


def test_highlights_are_whole_words_in_any_form() -> None:
    text = "Exported files: the exporting of a file."
    assert [text[start:end] for start, end in highlights("How do I export files?", text)] == [
        *("Exported", "files", "exporting", "file")
    ]
    assert highlights("the of a", text) == []


@pytest.mark.parametrize(("kind", "key"), [("cohere", KEY), ("jina", KEY), ("tei", "")])
def test_a_reranker_orders_the_passages(center: Memory, reranker: RerankerStandIn, kind: Any, key: str) -> None:
    model = Reranker(kind=kind, url=reranker.url, key=key)
    found = retrieve(center, "The address on it", Retrieval(limit=1, reranker=model))
    assert found.passages[0].record_id == "articles_3"
    assert found.passages[0].score == 1.0


def test_a_reranker_that_refuses_or_forgets_is_an_error(center: Memory, reranker: RerankerStandIn) -> None:
    how = Retrieval(reranker=Reranker(kind="cohere", url=reranker.url, key="wrong-key-123"))
    with pytest.raises(ConfigError, match=r"the reranker refuses: .* 401") as refused:
        retrieve(center, "account", how)
    assert "wrong-key" not in str(refused.value)
    how = Retrieval(reranker=Reranker(kind="tei", url=reranker.url, max_wait_s=0))
    reranker.faults.retry_after_s = 7
    reranker.faults.next("rate_limit")
    with pytest.raises(TransientError, match=r"429|rate limit"):
        retrieve(center, "account", how)
    reranker.lost = 1
    with pytest.raises(ConnectorError, match=r"asked about \d+ texts and scored"):
        retrieve(center, "account", how)
    reranker.lost = 0


def test_the_variables_name_a_reranker() -> None:
    assert Reranker.of({}) is None
    model = Reranker.of({"KITESTRING_RERANK_KIND": "cohere", "KITESTRING_RERANK_KEY": KEY})
    assert model is not None
    assert model.address() == "https://api.cohere.com/v2/rerank"
    with pytest.raises(ConfigError, match="KITESTRING_RERANK_KIND is bm25"):
        Reranker.of({"KITESTRING_RERANK_KIND": "bm25"})
    with pytest.raises(ConfigError, match="no address"):
        Reranker(kind="tei").scores("x", ["y"])

from __future__ import annotations

import pytest

import kitestring as ks
from kitestring.errors import ConfigError
from kitestring.retrieval.similar_records import evenly_chosen
from tests.unit.retrieval.help_center import help_center
from tests.unit.vector.memory_store import Memory


@pytest.fixture(scope="module")
def center(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    return help_center(tmp_path_factory.mktemp("center"))


def names(records: list[ks.SimilarRecord]) -> list[str | None]:
    return [record.record_id for record in records]


def test_the_nearest_records_of_a_record_come_without_it(center: Memory) -> None:
    locked = ks.RecordName("tickets", "tickets_1")
    near = ks.similar(center, locked, stream="tickets", limit=3)
    assert names(near) == ["tickets_2", "tickets_3", "tickets_4"]
    assert near[0].score == 1.0 > near[1].score
    assert names(ks.similar(center, locked, stream="articles", limit=1)) == ["articles_1"]
    assert names(ks.similar(center, locked, where={"status": "new"})) == ["tickets_3", "tickets_4"]


def test_a_text_and_a_threshold_work_as_in_a_search(center: Memory) -> None:
    near = ks.similar(center, "the export is empty", stream="tickets", threshold=1.0)
    assert names(near) == ["tickets_4"]
    with pytest.raises(ConfigError, match="threshold is for a text"):
        ks.similar(center, ks.RecordName("tickets", "tickets_1"), threshold=1.0)


def test_diversity_leaves_out_what_resembles_a_record_above(center: Memory) -> None:
    text = "My account is locked after wrong passwords"
    assert names(ks.similar(center, text, stream="tickets", limit=2)) == ["tickets_1", "tickets_2"]
    assert "tickets_2" not in names(ks.similar(center, text, stream="tickets", limit=2, diversity=0.7))
    with pytest.raises(ConfigError, match="diversity is 2"):
        ks.similar(center, text, diversity=2)


def test_several_records_are_an_interest(center: Memory) -> None:
    read = [ks.RecordName("tickets", "tickets_3"), ks.RecordName("tickets", "tickets_4")]
    assert set(names(ks.similar(center, read, stream="articles", limit=2))) == {"articles_1", "articles_2"}


def test_a_marked_or_unknown_record_is_not_there(center: Memory) -> None:
    for name in ("articles_4", "articles_99"):
        with pytest.raises(ConfigError, match=f"no record {name}"):
            ks.similar(center, ks.RecordName("articles", name))
    assert ks.similar(center, ks.RecordName("articles", "articles_4"), include_deleted=True)
    assert "articles_4" not in names(ks.similar(center, "passwords sent by fax", limit=20))


def test_empty_requests_are_refused(center: Memory) -> None:
    for seeds in ("", []):
        with pytest.raises(ConfigError):
            ks.similar(center, seeds)


def test_the_chunks_of_a_long_record_are_spread() -> None:
    chunks = [{"id": number} for number in range(100)]
    chosen = [chunk["id"] for chunk in evenly_chosen(chunks, 4)]
    assert chosen == [0, 25, 50, 75]


def test_a_permission_holds_for_answers_and_similar_records(center: Memory) -> None:
    permission = {"status": "new"}
    near = ks.similar(center, ks.RecordName("tickets", "tickets_1"), permission=permission, diversity=0.1, limit=20)
    assert names(near) == ["tickets_3", "tickets_4"]
    with pytest.raises(ConfigError, match="no record tickets_2"):
        ks.similar(center, ks.RecordName("tickets", "tickets_2"), permission=permission)
    answer = ks.ask(center, "wrong passwords lock", model=False, permission=permission, limit=20)
    assert {passage.record_id for passage in answer.passages} == {"tickets_1", "tickets_3", "tickets_4"}

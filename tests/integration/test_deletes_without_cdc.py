"""Tickets and articles that vanish from Zendesk in silence vanish from the index and from the tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kitestring.engine import Result, Selection, SqliteStates, Status, sync
from kitestring.registry import destination as build_destination
from kitestring.registry import source as build_source
from kitestring.testing.zendesk import ZendeskStandIn

ALWAYS = {"mode": "hard", "every_hours": 0}


@pytest.fixture
def zendesk() -> Iterator[ZendeskStandIn]:
    with ZendeskStandIn(tickets=120, export_page=50) as server:
        yield server


@pytest.fixture(params=["milvus", "duckdb", "postgres"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, Any]]:
    if request.param == "milvus":
        pytest.importorskip("milvus_lite")
        return "milvus", {
            "processing": {
                "chunk_size": 40,
                "text_fields": ["subject", "description", "title", "body"],
                "metadata_fields": ["status"],
            },
            "embedding": {"mode": "fake"},
            "indexing": {"host": str(tmp_path / "help.db"), "collection": "help", "auth": {"mode": "no_auth"}},
        }
    if request.param == "duckdb":
        return "duckdb", {"path": str(tmp_path / "help.duckdb")}
    return "postgres", request.getfixturevalue("database").config


def run(zendesk: ZendeskStandIn, target: tuple[str, dict[str, Any]], folder: Path, detect: Any = ALWAYS) -> Result:
    """One sync with connectors of its own, as a process would do it."""
    selections = [Selection(name, "incremental", detect_deletes=detect) for name in ("tickets", "articles")]
    return sync(
        build_source("zendesk_support", zendesk.config),
        build_destination(*target),
        selections,
        states=SqliteStates(folder / "state.db"),
    )


def ids(target: tuple[str, dict[str, Any]], stream: str) -> set[int]:
    """The records of a stream, as a reader of the destination sees them."""
    destination: Any = build_destination(*target)
    try:
        rows = destination.stored_rows(stream, limit=1_000).rows
        return {int(str(row.get("_ab_record_id") or row["id"]).rpartition("_")[2]) for row in rows}
    finally:
        destination.close()


def test_what_zendesk_forgets_without_a_word_is_removed(
    zendesk: ZendeskStandIn, target: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    desk = zendesk.desk
    assert run(zendesk, target, tmp_path).ok
    live = {ticket["id"] for ticket in desk.live_tickets()}
    assert (ids(target, "tickets"), ids(target, "articles")) == (live, set(desk.articles))

    purged, archived = sorted(live)[5], sorted(desk.articles)[3]
    del desk.tickets[purged], desk.articles[archived]
    changed = sorted(live)[-1]
    zendesk.touch_ticket(changed)
    result = run(zendesk, target, tmp_path)
    assert result.ok, result.as_dict()
    assert [result.streams[name].deleted for name in ("tickets", "articles")] == [1, 1]
    assert (ids(target, "tickets"), ids(target, "articles")) == (live - {purged}, set(desk.articles))

    # A help desk that refuses to list its articles, and one that lists a part: nothing is deleted, nothing green.
    kept = ids(target, "articles")
    zendesk.forbidden = ["articles"]
    result = run(zendesk, target, tmp_path)
    assert result.streams["articles"].status in (Status.failed, Status.suspicious)
    assert ids(target, "articles") == kept
    zendesk.forbidden = []
    articles = dict(desk.articles)
    for number in sorted(articles)[:40]:
        del desk.articles[number]
    result = run(zendesk, target, tmp_path)
    assert result.streams["articles"].status is Status.suspicious
    assert "more than 20 %" in result.streams["articles"].suspicions[0]
    assert ids(target, "articles") == kept
    desk.articles.update(articles)
    assert run(zendesk, target, tmp_path).ok
    assert ids(target, "articles") == kept

from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read

from kitestring.errors import AuthError, ConfigError
from kitestring.registry import source
from kitestring.testing.notion import NotionStandIn
from kitestring.testing.stand_in import Faults
from kitestring.types import DELETED_AT

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "notion.txt"
EXPECTED = {
    "pages": 24, "page_contents": 24, "blocks": 102, "data_sources": 3, "comments": 8, "users": 120,
}  # fmt: skip


@pytest.fixture
def server():
    with NotionStandIn(page=10) as server:
        yield server


@pytest.fixture
def notion(server):
    found = source("notion", server.config)
    yield found
    found.close()


def test_every_stream_is_read_completely_and_fits_its_declared_fields(server, notion):
    assert counted(notion) == {**EXPECTED, "blocks": sum(map(len, server.children.values()))}


def test_the_requests_are_the_golden_ones():
    with NotionStandIn(pages=5, page=3) as server:
        assert_golden_requests(server, source("notion", server.config), GOLDEN)


def test_a_second_read_brings_only_what_was_edited(server, notion):
    states = {name: read(notion, name)[1] for name in ("pages", "page_contents", "blocks")}
    server.edit("page-4", "One more paragraph.")
    new = server.add_page("Something new", "It broke.")["id"]
    seen = len(server.requests)
    last = "page-23"
    assert {row["id"] for row in read(notion, "pages", states["pages"])[0]} == {"page-4", new, last}
    contents = {row["id"]: row["markdown"] for row in read(notion, "page_contents", states["page_contents"])[0]}
    assert contents.keys() == {"page-4", new, last}
    assert "One more paragraph." in contents["page-4"]
    blocks, _ = read(notion, "blocks", states["blocks"])
    assert {row["page_id"] for row in blocks} == {"page-4", new, last}
    assert {"One more paragraph.", "inside", "deepest"} <= {row["text"] for row in blocks}
    assert len(server.requests) - seen < 20


def test_a_comment_on_a_page_that_was_not_edited_is_read(server, notion):
    server.add_comment("page-1", "Is this still true?")
    assert "Is this still true?" in {row["text"] for row in read(notion, "comments")[0]}


def test_a_block_of_each_level_is_read_once(server, notion):
    rows, _ = read(notion, "blocks")
    assert len(rows) == len({row["id"] for row in rows})
    children = [call.path for call in server.calls("/children")]
    assert len(children) < 24 * 2 + 6 * 3 + 6


def test_pages_in_the_trash_are_deletions(server, notion):
    _, state = read(notion, "pages")
    server.trash("page-3")
    gone = [row for row in read(notion, "pages", state)[0] if row.get(DELETED_AT)]
    assert [(row["id"], row[DELETED_AT]) for row in gone] == [("page-3", server.pages["page-3"]["last_edited_time"])]


def test_a_page_that_vanishes_meanwhile_is_left_out(server, notion):
    del server.children["page-2"]
    rows, _ = read(notion, "blocks")
    assert {row["page_id"] for row in rows} == set(server.pages) - {"page-2"}


def test_limits_cost_time_but_no_record():
    with NotionStandIn(page=5, faults=Faults(seed=5, rate_limit=0.2, retry_after_s=0)) as server:
        notion = source("notion", server.config)
        assert len(read(notion, "page_contents")[0]) == 24
        assert 429 in {call.status for call in server.requests}


def test_a_wrong_token_is_an_auth_error_that_does_not_show_it(server):
    notion = source("notion", {**server.config, "credentials": {"auth_type": "token", "token": "not-the-token"}})
    with pytest.raises(AuthError, match="API token is invalid") as caught:
        notion.check()
    assert "not-the-token" not in str(caught.value)


def test_a_missing_capability_is_an_error_with_the_way_out():
    with NotionStandIn(forbidden=("/comments",)) as server:
        notion = source("notion", server.config)
        with pytest.raises(ConfigError, match=r"lacks a capability.*deselect the stream"):
            read(notion, "comments")


def test_the_start_date_limits_what_is_read(server):
    notion = source("notion", {**server.config, "start_date": "2025-01-20T00:00:00.000Z"})
    rows, _ = read(notion, "pages")
    assert 0 < len(rows) < 24
    assert min(row["last_edited_time"] for row in rows) >= "2025-01-20"


def test_oauth_opens_the_same_streams(server):
    credentials = {"auth_type": "OAuth2.0", "access_token": "ntn_larkspur", "client_id": "a", "client_secret": "b"}
    source("notion", {**server.config, "credentials": credentials}).check()

from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read
from stand_ins.confluence import ConfluenceStandIn

from kitestring.errors import AuthError, ConfigError, KitestringError
from kitestring.registry import source
from kitestring.testing.stand_in import Faults
from kitestring.types import DELETED_AT

GOLDEN = Path(__file__).parent.parent / "golden" / "requests" / "confluence.txt"
EXPECTED = {
    "pages": 40, "blog_posts": 10, "footer_comments": 10, "inline_comments": 5, "attachments": 10, "spaces": 20,
    "rendered_pages": 36, "rendered_blog_posts": 10, "labels": 20, "page_labels": 41, "blog_post_labels": 11,
    "attachment_labels": 11, "whiteboards": 18, "databases": 18, "folders": 18, "groups": 25, "audit": 30,
}  # fmt: skip


@pytest.fixture
def server():
    with ConfluenceStandIn() as server:
        yield server


@pytest.fixture
def confluence(server):
    actual_source = source("confluence", server.config)
    yield actual_source
    actual_source.close()


def test_every_stream_is_read_completely_and_fits_its_declared_fields(confluence):
    assert counted(confluence) == EXPECTED


def test_the_requests_are_the_golden_ones():
    with ConfluenceStandIn(pages=10, page=4) as server:
        assert_golden_requests(server, source("confluence", server.config), GOLDEN, moving=r"(?<=endDate=)\d+")


def test_a_second_read_brings_only_what_changed(server, confluence):
    states = {name: read(confluence, name)[1] for name in ("pages", "footer_comments")}
    server.edit(server.rows["pages"][3], "Something else.")
    new = server.add("pages", "Something new", "It broke.")
    server.add("footer-comments", "Re", "Thanks", pageId=new["id"])
    seen = len(server.requests)
    rows, _ = read(confluence, "pages", states["pages"])
    assert {"<p>Something else.</p>", "<p>It broke.</p>"} <= {row["text"] for row in rows}
    assert len(rows) == 4, "the two, and the last of the current and of the archived pages again"
    comments, _ = read(confluence, "footer_comments", states["footer_comments"])
    assert comments[0]["text"] == "<p>Thanks</p>"
    assert len(server.requests) - seen == 6, "two of the spaces, three of pages, one of comments"


def test_trashed_pages_are_deletions_in_every_read(server, confluence):
    _, state = read(confluence, "pages")
    server.rows["pages"][2]["status"] = "trashed"
    for _ in range(2):
        rows, state = read(confluence, "pages", state)
        assert [row["id"] for row in rows if row.get(DELETED_AT)] == [server.rows["pages"][2]["id"]]


OF_SPACES = ["pages", "blog_posts", "rendered_pages"]


@pytest.mark.parametrize("stream", OF_SPACES)
def test_a_space_that_is_shown_later_brings_its_pages(server, confluence, stream):
    collection = "blogposts" if stream == "blog_posts" else "pages"
    for row in server.rows[collection][1:9:2]:
        row["spaceId"] = "7"
    inside = {row["id"] for row in server.rows[collection] if row["spaceId"] == "7" and row["status"] == "current"}
    server.hidden = {"7"}
    _, state = read(confluence, stream)
    second, state = read(confluence, stream, state)
    server.hidden = set()
    rows, state = read(confluence, stream, state)
    assert {row["id"] for row in rows} >= inside
    assert len(rows) <= len(inside) + len(second)
    assert len(read(confluence, stream, state)[0]) <= len(second)


def test_the_state_of_pages_of_an_older_version_goes_on(server, confluence):
    """A state per status; the spaces that are there are known with the first sync."""
    cursor = {"updated_at": max(row["version"]["createdAt"] for row in server.rows["pages"])}
    states = [{"partition": {"status": status}, "cursor": cursor} for status in ("current", "archived", "trashed")]
    old = {"use_global_cursor": False, "states": states, "state": cursor, "lookback_window": 1}
    rows, state = read(confluence, "pages", old)
    assert len(rows) <= 1
    assert [entry["partition"] for entry in state["states"]] == [entry["partition"] for entry in states]


def test_trashed_attachments_are_deletions(server, confluence):
    _, state = read(confluence, "attachments")
    server.rows["attachments"][2]["status"] = "trashed"
    rows, _ = read(confluence, "attachments", state)
    assert [row["id"] for row in rows if row.get(DELETED_AT)] == [server.rows["attachments"][2]["id"]]


@pytest.mark.parametrize("stream", ["pages", "attachments"])
def test_what_is_shown_or_restored_later_without_a_change_comes_with_whole_lists(server, stream):
    collection = server.rows[stream]
    hidden, trashed = collection[1], collection[2]
    server.hidden, trashed["status"] = {hidden["id"]}, "trashed"
    whole = source("confluence", {**server.config, "whole_lists": True})
    _, state = read(whole, stream)
    _, state = read(whole, stream, state)
    server.hidden, trashed["status"] = set(), "current"
    rows, state = read(whole, stream, state)
    assert {hidden["id"], trashed["id"]} <= {row["id"] for row in rows}
    assert len(rows) <= 4
    assert len(read(whole, stream, state)[0]) <= 2


def test_whole_lists_may_be_switched_on_later_without_reading_all_again(server, confluence):
    _, state = read(confluence, "pages")
    whole = source("confluence", {**server.config, "whole_lists": True})
    rows, state = read(whole, "pages", state)
    assert len(rows) <= 2
    assert len(read(confluence, "pages", state)[0]) <= 2


def test_rendered_pages_are_asked_for_where_a_page_changed(server, confluence):
    rows, state = read(confluence, "rendered_pages")
    assert all(row["text"].startswith("<div><p>") for row in rows)
    server.edit(server.rows["pages"][3], "Something else.")
    server.requests.clear()
    rows, _ = read(confluence, "rendered_pages", state)
    assert "<div><p>Something else.</p></div>" in {row["text"] for row in rows}
    assert len(server.calls(r"/pages/\d+$")) <= 2


def test_audit_records_are_read_from_the_last_one_on(server, confluence):
    rows, state = read(confluence, "audit")
    second, _ = read(confluence, "audit", state)
    assert {row["id"] for row in second} < {row["id"] for row in rows}
    assert len(second) == 2, "an hour of looking back"


def test_pages_have_their_text_and_address(confluence):
    rows, _ = read(confluence, "pages")
    assert all(row["text"].startswith("<p>") for row in rows)
    assert rows[0]["url"].startswith("https://larkspur.atlassian.net/wiki/pages/")


def test_the_start_date_limits_what_is_read(server):
    rows, _ = read(source("confluence", {**server.config, "start_date": "2025-02-01T00:00:00Z"}), "pages")
    assert 0 < len(rows) < 40
    assert min(row["updated_at"] for row in rows) >= "2025-02-01"


def test_limits_cost_time_but_no_record():
    with ConfluenceStandIn(page=4, faults=Faults(seed=5, rate_limit=0.3, retry_after_s=0)) as server:
        assert len(read(source("confluence", server.config), "pages")[0]) == 40
        assert 429 in {call.status for call in server.requests}


def test_a_page_without_links_and_a_next_address_without_a_cursor_are_errors_and_no_last_page(server, confluence):
    for links in (None, {"next": "/wiki/api/v2/pages?start=15"}):
        server.links = links
        with pytest.raises(KitestringError):
            read(confluence, "pages")


def test_a_wrong_token_is_an_auth_error_that_does_not_show_it(server):
    confluence = source("confluence", {**server.config, "api_token": "not-the-token"})
    with pytest.raises(AuthError, match="401") as caught:
        confluence.check()
    assert "not-the-token" not in str(caught.value)


def test_a_refused_token_that_is_answered_as_a_stranger_is_never_an_empty_sync():
    with ConfluenceStandIn(anonymous=True) as server:
        confluence = source("confluence", {**server.config, "api_token": "expired"})
        with pytest.raises(ConfigError, match="refused the email and API token"):
            read(confluence, "pages")


def test_a_domain_without_confluence_is_an_error(server):
    server._routes = []
    with pytest.raises(ConfigError, match="no Confluence at"):
        source("confluence", server.config).check()

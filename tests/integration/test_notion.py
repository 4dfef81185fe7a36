import time
from pathlib import Path

import pytest
from manifest_cases import assert_golden_requests, counted
from reading import read
from stand_ins.notion import NotionStandIn, rich

from kitestring.errors import AuthError, ConfigError, KitestringError
from kitestring.registry import source
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
    actual_source = source("notion", server.config)
    yield actual_source
    actual_source.close()


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
    assert {row["id"] for row in read(notion, "pages", states["pages"])[0]} == {"page-4", new}
    contents = {row["id"]: row["markdown"] for row in read(notion, "page_contents", states["page_contents"])[0]}
    assert contents.keys() == {"page-4", new}
    assert "One more paragraph." in contents["page-4"]
    blocks, _ = read(notion, "blocks", states["blocks"])
    assert {row["page_id"] for row in blocks} == {"page-4", new}
    assert {"One more paragraph.", "inside", "deepest"} <= {row["text"] for row in blocks}
    paths = [call.path for call in server.requests[seen:] if call.method == "GET"]
    assert len([path for path in paths if path.endswith("/markdown")]) == 2, "one for each edited page"
    assert len(paths) < 12
    assert len(server.requests) - seen - len(paths) <= 3 * 8, "the lists, a call for a page of them"


def texts_of(rows):
    return {row["text"] for row in rows}


def test_comments_are_asked_of_edited_pages_or_of_all_where_that_is_wanted(server, notion):
    whole = source("notion", {**server.config, "comments_of_all_pages": True})
    of_edited, of_all = (read(item, "comments")[1] for item in (notion, whole))
    server.add_comment("page-1", "Is this still true?")
    server.add_comment("page-2", "And this?")
    server.edit("page-2", "Not any more.")
    seen = len(server.requests)
    rows, _ = read(notion, "comments", of_edited)
    assert "And this?" in texts_of(rows)
    assert "Is this still true?" not in texts_of(rows)
    assert len([call for call in server.requests[seen:] if call.path == "/v1/comments"]) == 1
    assert {"Is this still true?", "And this?"} <= texts_of(read(whole, "comments", of_all)[0])
    assert {"Is this still true?", "And this?"} <= texts_of(read(notion, "comments")[0]), "read whole"


def test_comments_inside_a_page_are_read_where_they_are_asked_for(server, notion):
    toggle = next(block for block in server.children["page-4"] if block["type"] == "toggle")["id"]
    inner = server.children[toggle][0]["id"]
    server.add_comment("page-4", "On the toggle", block_id=toggle)
    server.add_comment("page-4", "On what is in it", block_id=inner)
    inside = {"On the toggle", "On what is in it"}
    assert not inside & texts_of(read(notion, "comments")[0])
    rows, state = read(source("notion", {**server.config, "inline_comments": True}), "comments")
    assert inside <= texts_of(rows)
    assert {row["page_id"] for row in rows if row["text"] in inside} == {"page-4"}
    seen = len(server.requests)
    read(source("notion", {**server.config, "inline_comments": True}), "comments", state)
    assert len([call for call in server.requests[seen:] if call.path == "/v1/comments"]) < 6, "those of the last page"


def test_a_block_of_each_level_is_read_once(server, notion):
    rows, _ = read(notion, "blocks")
    assert len(rows) == len({row["id"] for row in rows})
    children = [call.line() for call in server.calls("/children")]
    assert len(children) == len(set(children))


@pytest.mark.parametrize("edits", [True, False])
@pytest.mark.parametrize("stream", ["pages", "page_contents"])
def test_pages_in_the_trash_are_deletions_and_come_back_when_they_are_restored(server, notion, stream, edits):
    _, state = read(notion, stream)
    server.trash("page-3", edits=edits)
    rows, state = read(notion, stream, state)
    removed_rows = [row for row in rows if row.get(DELETED_AT)]
    assert [(row["id"], row[DELETED_AT]) for row in removed_rows] == [
        ("page-3", server.pages["page-3"]["last_edited_time"])
    ]
    assert len(rows) == 1
    assert read(notion, stream, state)[0] == [], "told once"
    server.restore("page-3")
    rows, _ = read(notion, stream, state)
    assert [(row["id"], row.get(DELETED_AT)) for row in rows if row["id"] == "page-3"] == [("page-3", None)]


def test_data_sources_in_the_trash_are_deletions(server, notion):
    _, state = read(notion, "data_sources")
    server.sources[1].update(in_trash=True, archived=True)
    rows, _ = read(notion, "data_sources", state)
    assert [row["id"] for row in rows if row.get(DELETED_AT)] == ["source-1"]


def test_an_api_that_lists_everything_as_trash_deletes_nothing():
    with NotionStandIn(pages=4, trash_search="ignored") as server:
        for stream in ("pages", "page_contents", "data_sources"):
            rows, _ = read(source("notion", server.config), stream)
            assert len(rows) == (3 if stream == "data_sources" else 4)
            assert not [row for row in rows if row.get(DELETED_AT)]


def test_an_api_that_does_not_search_the_trash_costs_only_the_deletions(caplog):
    with NotionStandIn(pages=4, trash_search="refused") as server:
        rows, _ = read(source("notion", server.config), "page_contents")
        assert len(rows) == 4
    assert "deletions are not told" in caplog.text


@pytest.mark.parametrize("stream", ["pages", "page_contents", "blocks", "comments"])
def test_an_old_page_that_is_shared_later_arrives_and_no_other_is_read_again(server, notion, stream):
    server.unshared.add("page-6")
    rows, state = read(notion, stream)
    assert "page-6" not in {row.get("page_id", row["id"]) for row in rows}
    server.unshared.clear()
    seen = len(server.requests)
    rows, state = read(notion, stream, state)
    assert {row.get("page_id", row["id"]) for row in rows} == {"page-6"}
    contents = {call.path for call in server.requests[seen:] if call.path.endswith("/markdown")}
    assert contents == ({"/v1/pages/page-6/markdown"} if stream == "page_contents" else set())
    assert read(notion, stream, state)[0] == []


def test_a_page_that_was_edited_just_before_a_sync_is_read_again_by_the_next(server, notion):
    """Times have no seconds: an edit in the same minute would not be seen."""
    server.now = int(time.time()) // 60 * 60 - 86_400 - 60
    server.edit("page-3", "In this minute")
    _, state = read(notion, "page_contents")
    server.add_block("page-3", "paragraph", "And in the same one")
    (row,) = read(notion, "page_contents", state)[0]
    assert row["markdown"].endswith("In this minute\nAnd in the same one")


def test_rows_come_from_their_data_source_although_the_search_leaves_them_out(server, notion):
    first = server.add_row("source-1", "Found by nobody")["id"]
    server.unsearchable.add(first)
    rows, state = read(notion, "pages")
    assert [row["title"] for row in rows if row["id"] == first] == ["Found by nobody"]
    second = server.add_row("source-1", "Found by search too")["id"]
    rows, _ = read(notion, "pages", state)
    assert sorted(row["id"] for row in rows if "source" in str(row["parent"])) == [second], "once"
    contents, _ = read(notion, "page_contents")
    assert {first, second} <= {row["id"] for row in contents}
    assert len(contents) == 26


def test_a_data_source_that_appears_later_brings_all_its_rows_and_nothing_else_is_read_again(server, notion):
    number = server.add_source("Old tasks")
    row = server.add_row(number, "Old task")["id"]
    for page in range(4, 20):
        server.edit(f"page-{page}", "newer")
    server.unshared |= {number, row}
    _, state = read(notion, "page_contents")
    server.unshared.clear()
    rows, _ = read(notion, "page_contents", state)
    assert {single_row["id"] for single_row in rows} == {row}


def test_all_pages_come_from_the_search_where_data_sources_are_not_asked(server):
    row = server.add_row("source-1", "A row")["id"]
    notion = source("notion", {**server.config, "query_data_sources": False})
    assert row in {item["id"] for item in read(notion, "pages")[0]}
    assert server.calls("/query") == []


def test_states_of_earlier_versions_are_taken_over(server, notion):
    last = max(page["last_edited_time"] for page in server.pages.values())
    of_pages = {"use_global_cursor": True, "state": {"last_edited_time": last}, "lookback_window": 1}
    edited = server.add_row("source-0", "New row")["id"]
    server.edit("page-2", "New paragraph")
    server.trash("page-9", edits=False)
    new, removed = {edited, "page-2", "page-23"}, {"page-9"}
    rows, _ = read(notion, "pages", {"last_edited_time": last})
    assert {row["id"] for row in rows} == new | removed
    assert {row["id"] for row in rows if row.get(DELETED_AT)} == removed, "it was never told"
    state = {**of_pages, "parent_state": {"pages": {"last_edited_time": last}}}
    rows, after = read(notion, "page_contents", state)
    assert {row["id"] for row in rows} == new | removed
    levels = {f"blocks_{n}": {**of_pages, "parent_state": state["parent_state"]} for n in (1, 2, 3)}
    blocks, _ = read(notion, "blocks", {**of_pages, "parent_state": {**levels, **state["parent_state"]}})
    assert {row["page_id"] for row in blocks} == new
    assert read(notion, "page_contents", after)[0] == []
    rows, after = read(notion, "data_sources", {"last_edited_time": last})
    assert len(rows) == 3, "edited when the last page was"
    assert read(notion, "data_sources", after)[0] == []


def test_parts_of_a_page_that_is_too_much_for_one_answer_are_put_into_it(server, notion, caplog):
    server.cut("page-3", "the second part", "the third part")
    server.cut("page-5", "more", missing=2)
    rows = {row["id"]: row for row in read(notion, "page_contents")[0]}
    assert rows["page-3"]["markdown"].endswith("\nthe second part\nthe third part")
    assert rows["page-3"]["unknown_block_ids"] == []
    assert rows["page-5"]["markdown"].endswith("\nmore")
    assert rows["page-5"]["unknown_block_ids"] == ["page-5-gone-0", "page-5-gone-1"]
    assert rows.keys() == server.pages.keys(), "parts are no records"
    assert "2 parts of a record (page-5) are missing" in caplog.text
    assert "(page-3)" not in caplog.text


@pytest.mark.parametrize("text", ['"Untitled"', "'a'", "('b')", "None", "[1]", "u'c' ", 'long "words" ' * 20 + "\\\\"])
def test_texts_that_look_like_values_stay_texts(text):
    with NotionStandIn(pages=0) as server:
        page = server.add_page(text, text)["id"]
        server.add_comment(page, text)
        server.add_source(text)
        notion = source("notion", server.config)
        assert [row["title"] for row in read(notion, "pages")[0]] == [text]
        assert [row["title"] for row in read(notion, "page_contents")[0]] == [text]
        assert [row["text"] for row in read(notion, "blocks")[0]] == [text]
        assert [row["text"] for row in read(notion, "comments")[0]] == [text]
        assert text in {row["name"] for row in read(notion, "data_sources")[0]}


def test_blocks_are_read_to_any_depth(server, notion):
    block = server.add_block("page-1", "column_list")["id"]
    for level in range(12):
        block = server.add_block(block, "column", "")["id"]
        block = server.add_block(block, "toggle", f"level {level}")["id"]
    rows, _ = read(notion, "blocks")
    assert {f"level {level}" for level in range(12)} <= texts_of(rows)
    assert {row["page_id"] for row in rows if row["text"].startswith("level")} == {"page-1"}


def test_the_text_of_a_block_has_cells_captions_names_and_formulas(server, notion):
    table = server.add_block("page-1", "table")["id"]
    server.add_block(table, "table_row", cells=[rich("Kite"), [], rich("String")])
    server.add_block("page-1", "image", caption=rich("The kite at noon"), type="external", external={"url": "u"})
    server.add_block("page-1", "file", name="plan.pdf", caption=[])
    server.add_block("page-1", "equation", expression="E = mc^2")
    server.add_block("page-1", "child_database", title="Tasks of spring")
    server.add_block("page-1", "code", rich_text=rich("print(1)"), caption=rich("An example"))
    texts = texts_of(read(notion, "blocks")[0])
    expected = {
        "Kite |  | String",
        "The kite at noon",
        "plan.pdf",
        "E = mc^2",
        "Tasks of spring",
        "print(1)\nAn example",
    }
    assert expected <= texts


def test_tokens_are_renewed_when_notion_refuses_them_and_the_pair_is_kept():
    with NotionStandIn(pages=4, rotating=True) as server:
        config = server.rotating_config
        notion = source("notion", config)
        kept = []
        notion.on_config(kept.append)
        read(notion, "pages")
        server.tokens.end_access()
        assert len(read(notion, "page_contents")[0]) == 4
        credentials = kept[-1]["credentials"]
        assert server.tokens.allows(credentials["access_token"])
        assert credentials["refresh_token"] != config["credentials"]["refresh_token"]
        assert server.tokens.most_at_once == 1
        assert {exchange.status for exchange in server.tokens.exchanges} == {200}


def test_a_page_that_vanishes_meanwhile_is_left_out(server, notion):
    del server.children["page-2"]
    rows, _ = read(notion, "blocks")
    assert {row["page_id"] for row in rows} == set(server.pages) - {"page-2"}


@pytest.mark.parametrize(
    ("lost", "message"), [("next_cursor", "names no cursor"), ("has_more", "sent a list without has_more")]
)
def test_a_page_that_lost_its_mark_ends_the_stream_instead_of_being_the_last(lost, message):
    class Forgetful(NotionStandIn):
        def _listed(self, rows, cursor, size):
            page = super()._listed(rows, cursor, size)
            page.pop(lost)
            return page

    with Forgetful(page=10) as server, pytest.raises(KitestringError, match=message):
        read(source("notion", server.config), "pages")


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

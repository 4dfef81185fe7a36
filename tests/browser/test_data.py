"""Data in the web interface: streams, rows, filters, chunks, a map and a search, on destinations that were filled."""

from __future__ import annotations

import ast
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kitestring import registry
from kitestring.engine import Selection, sync
from kitestring.testing.memory import MemorySource
from kitestring.types import DELETED_AT
from tests.browser.conftest import OWN, PUBLIC, Running, accessible, fits, picture

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SUBJECTS = ["Parcel arrived broken", "Refund for a cup", "Cannot sign in", "Invoice is wrong"]
TEXT = "The parcel arrived broken and the cup is in pieces, so please send another one before the weekend."


def tickets(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": n,
            "subject": f"{SUBJECTS[n % 4]} ({n})",
            "status": ("new", "open", "closed")[n % 3],
            "text": f"{SUBJECTS[n % 4]}. {TEXT if n % 4 == 0 else ''} {TEXT if n == 4 else ''}",
            "tags": ["parcel", "eu"] if n % 2 else [],
            "url": f"https://shop.zendesk.com/api/v2/tickets/{n}.json",
            "history": "Each step of this ticket. " * 200 if n == 1 else "short",
        }
        for n in range(1, count + 1)
    ]


@dataclass
class Holdings:
    server: Running
    vectors: str
    table: str


@pytest.fixture(scope="module")
def holdings(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Holdings:
    """A vector store with two streams, and a table with a record that is marked as deleted."""
    folder = tmp_path_factory.mktemp("data")
    articles = [{"id": n, "title": f"Article {n}", "text": f"How to return a parcel, step {n}."} for n in range(1, 6)]
    records = {"tickets": tickets(60), "articles": articles}
    keys = {"tickets": "id", "articles": "id"}
    vectors = {
        "processing": {
            "chunk_size": 20,
            "text_fields": ["text"],
            "metadata_fields": ["id", "subject", "title", "status", "tags", "url"],
        },
        "embedding": {"mode": "fake"},
        "indexing": {"host": str(folder / "v.db"), "collection": "help_desk"},
    }
    table = {"path": str(folder / "db.sqlite")}
    deleted = {"id": 60, DELETED_AT: "2026-01-01T00:00:00Z"}
    for connector, config, more in (("milvus", vectors, []), ("sqlite", table, [deleted])):
        source = MemorySource(records={**records, "tickets": records["tickets"] + more}, primary_keys=keys)
        destination = registry.destination(connector, config)
        result = sync(source, destination, [Selection(name, write_mode="soft_delete") for name in records])
        assert result.ok, result.as_dict()
        destination.close()
    return Holdings(
        server,
        server.make("destination", "milvus", "Help desk vectors", vectors),
        server.make("destination", "sqlite", "Help desk tables", table),
    )


def test_rows_of_a_table_are_browsed_filtered_and_copied(visit: Callable[..., Any], holdings: Holdings) -> None:
    page = visit(f"/data?in={holdings.table}&stream=tickets", width=1440)
    page.get_by_text("1–50 of 59").wait_for()
    assert page.get_by_role("navigation", name="Streams").get_by_role("button").count() == 2
    accessible(page)
    fits(page)
    page.get_by_role("button", name="Page 2").click()
    page.get_by_text("51–59 of 59").wait_for()
    page.get_by_title("Show only status = new").first.click()
    page.get_by_text("1–19 of 19").wait_for()
    assert "status%3Dnew" in page.url
    picture(page, "data-rows")
    page.get_by_label("Deleted records too").check()
    page.get_by_text("1–20 of 20").wait_for()
    page.get_by_text("Deleted", exact=True).wait_for()
    page.get_by_role("button", name="Remove status = new").click()
    page.get_by_text("of 60").wait_for()
    page.get_by_label("Filter", exact=True).fill('id <= 2 and subject != "nothing"')
    page.get_by_role("button", name="Apply").click()
    page.get_by_text("1–2 of 2").wait_for()
    page.get_by_role("region", name="Rows of tickets").get_by_role("button", name="Refund for a cup (1)").click()
    panel = page.get_by_role("dialog")
    link = panel.get_by_role("link", name="Open at the source")
    assert link.get_attribute("href") == "https://shop.zendesk.com/agent/tickets/1"
    # The value was cut in the list, and comes whole.
    panel.get_by_text("Each step of this ticket. " * 150).wait_for()
    accessible(page)
    picture(page, "data-row")
    panel.get_by_role("button", name="Filter by status").click()
    page.get_by_role("button", name="Remove status = open").wait_for()
    page.get_by_label("Filter", exact=True).fill("id ~ 7")
    page.get_by_role("button", name="Apply").click()
    page.get_by_role("alert").get_by_text("filtered by field").wait_for()


def test_what_is_on_the_page_runs_as_it_is_copied(visit: Callable[..., Any], holdings: Holdings) -> None:
    page = visit(f"/data?in={holdings.table}&stream=tickets&where=status%3Dnew")
    page.get_by_text("1–19 of 19").wait_for()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ids: dict[str, list[int]] = {}
    for name, command in (("curl", ["sh", "-c"]), ("Python", [sys.executable, "-c"])):
        page.get_by_role("button", name="Copy as code").click()
        page.get_by_role("menuitem", name=name).click()
        page.get_by_text("Copied").last.wait_for()
        code = page.evaluate("navigator.clipboard.readText()")
        done = subprocess.run([*command, code], capture_output=True, text=True, check=True, env=dict(os.environ))
        lines = done.stdout.splitlines()
        rows = json.loads(done.stdout)["rows"] if name == "curl" else [ast.literal_eval(line) for line in lines]
        ids[name] = [row["values"]["id"] for row in rows]
    assert ids["curl"] == ids["Python"]
    assert len(ids["curl"]) == 19


def test_a_chunk_leads_to_its_record_its_neighbours_and_the_map(visit: Callable[..., Any], holdings: Holdings) -> None:
    page = visit(f"/data?in={holdings.vectors}&stream=tickets&where=id%3D4", width=1440, dark=True)
    page.get_by_text("tickets", exact=True).first.wait_for()
    page.get_by_role("region", name="Rows of tickets").get_by_role("button").first.click()
    panel = page.get_by_role("dialog")
    panel.get_by_text("chunks of this record").wait_for()
    assert panel.get_by_role("list", name="Chunks").get_by_role("listitem").count() > 1
    picture(page, "data-chunk")
    panel.get_by_role("tab", name="Neighbours").click()
    panel.get_by_role("list", name="Nearest first").get_by_role("listitem").nth(9).wait_for()
    panel.get_by_role("list", name="Nearest first").get_by_role("button").first.click()
    panel.get_by_role("list", name="Nearest first").wait_for()
    accessible(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Remove id = 4").click()
    page.get_by_text("Map", exact=True).click()
    map_ = page.get_by_role("application")
    map_.wait_for()
    page.get_by_role("button", name="All streams").click()
    page.get_by_role("list", name="Colours").get_by_text("articles").wait_for()
    accessible(page)
    picture(page, "data-map")
    map_.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_text("of this record").wait_for()


def test_a_collection_is_searched_by_its_old_address_and_a_typed_filter(
    visit: Callable[..., Any], holdings: Holdings
) -> None:
    page = visit(f"/search?in={holdings.vectors}")
    page.get_by_label("What are you looking for?").fill("Refund")
    page.get_by_label("Filter").fill('_ab_stream == "articles"')
    page.get_by_role("button", name="Search").click()
    page.get_by_text("The 5 nearest chunks, best first. A smaller distance is a better match.").wait_for()
    assert page.get_by_role("list", name="Results").get_by_role("listitem").count() == 5
    assert page.url.startswith(f"{holdings.server.url}/data?")
    accessible(page)
    picture(page, "search")
    page.get_by_label("Filter").fill("id ==")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("alert").wait_for()


def test_data_fits_a_phone(visit: Callable[..., Any], holdings: Holdings) -> None:
    page = visit(f"/data?in={holdings.vectors}&stream=tickets", width=390, height=844)
    page.get_by_role("list", name="Rows of tickets").wait_for()
    fits(page)
    accessible(page)
    picture(page, "data-phone")
    page.get_by_role("list", name="Rows of tickets").get_by_role("button").first.click()
    page.get_by_role("dialog").get_by_text("of this record").wait_for()
    fits(page)
    assert holdings.server.call("GET", f"{OWN}/destinations/{holdings.vectors}/data/streams")["chunks"]


def test_a_file_that_a_job_writes_to_is_shown_when_the_job_has_ended(
    visit: Callable[..., Any], holdings: Holdings, tmp_path: Path
) -> None:
    server = holdings.server
    source = server.make("source", "sample", "People", {"count": 3})
    destination = server.make("destination", "duckdb", "Warehouse", {"path": str(tmp_path / "w.duckdb")})
    streams = [{"name": "users", "syncMode": "full_refresh_overwrite"}]
    body = {"name": "W", "sourceId": source, "destinationId": destination, "configurations": {"streams": streams}}
    connection = server.call("POST", f"{PUBLIC}/connections", body)["connectionId"]
    job = server.call("POST", f"{OWN}/connections/{connection}/sync")["jobId"]
    server.ended(connection)
    status(server, job, "running")
    page = visit(f"/data?in={destination}")
    page.get_by_text("A job is writing to this destination").wait_for()
    page.get_by_role("main").get_by_role("link", name=f"Job {job}").wait_for()
    accessible(page)
    status(server, job, "succeeded")
    page.get_by_role("region", name="Rows of users").wait_for()
    # Rows that are on the page stay, with a word.
    status(server, job, "running")
    page.get_by_label("Filter").fill("id=1")
    page.get_by_role("button", name="Apply").click()
    page.get_by_text("A job is writing to this destination").wait_for()
    status(server, job, "succeeded")
    page.get_by_text("1–1 of 1").wait_for()
    assert page.get_by_text("A job is writing to this destination").count() == 0


def status(server: Running, job: int, value: str) -> None:
    """Say of a job that has ended whether it runs: with a lease that does not end, so that no worker takes it over."""
    with sqlite3.connect(server.home / "kitestring.sqlite", timeout=60) as store:
        store.execute("UPDATE jobs SET status = ?, lease_until_ms = ? WHERE id = ?", (value, 2**52, job))


def test_a_search_of_one_stream_says_so_and_vectors_without_meaning_are_named(
    visit: Callable[..., Any], holdings: Holdings
) -> None:
    page = visit(f"/data?in={holdings.vectors}&stream=articles")
    page.get_by_text("Search", exact=True).click()
    page.get_by_text("Fake makes vectors without meaning").wait_for()
    streams = page.get_by_role("navigation", name="Streams")
    assert streams.locator("[aria-current=true]").inner_text().startswith("articles")
    page.get_by_label("What are you looking for?").fill("parcel")
    page.keyboard.press("Enter")
    page.get_by_text("The 5 nearest chunks").wait_for()
    streams.get_by_role("button", name="All streams").click()
    page.get_by_text("The 10 nearest chunks").wait_for()
    assert page.get_by_text(re.compile(r"distance \d")).count() == 10

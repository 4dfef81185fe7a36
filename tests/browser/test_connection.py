"""The page of a connection: its streams with their fields and mappers, its overview and its settings."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import OWN, PUBLIC, Running, accessible, fits, picture

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@dataclass
class People:
    """A connection to a vector store that has synced once."""

    server: Running
    connection: str
    destination: str
    vectors: Path

    def ended(self) -> dict[str, Any]:
        """The newest job, once it has ended."""
        return self.server.ended(self.connection)

    def streams(self) -> list[dict[str, Any]]:
        stored: dict[str, Any] = self.server.call("GET", f"{PUBLIC}/connections/{self.connection}")
        streams: list[dict[str, Any]] = stored["configurations"]["streams"]
        return streams


@pytest.fixture(scope="module")
def people(server: Running, tmp_path_factory: pytest.TempPathFactory) -> People:
    vectors = tmp_path_factory.mktemp("people") / "v.db"
    source = server.make("source", "sample", "People", {"count": 40})
    destination = server.make(
        "destination",
        "milvus",
        "Vectors",
        {
            "processing": {"chunk_size": 8, "text_fields": ["name", "title"], "metadata_fields": ["id"]},
            "embedding": {"mode": "fake"},
            "indexing": {"host": str(vectors), "collection": "people"},
        },
    )
    body = {
        "name": "Hourly",
        "sourceId": source,
        "destinationId": destination,
        "schedule": {"scheduleType": "basic", "basicTiming": "Every 1 HOURS"},
        "configurations": {"streams": [{"name": "users", "syncMode": "incremental_deduped_history"}]},
    }
    connection: str = server.call("POST", f"{PUBLIC}/connections", body)["connectionId"]
    server.call("POST", f"{OWN}/connections/{connection}/sync")
    synced = People(server, connection, destination, vectors)
    assert synced.ended()["status"] == "succeeded"
    return synced


def test_a_connection_that_never_synced_says_what_comes_next_and_starts_it(
    visit: Callable[..., Any], server: Running, tmp_path: Path
) -> None:
    source = server.make("source", "sample", "New people", {"count": 3})
    destination = server.make("destination", "files", "New files", {"path": str(tmp_path / "files")})
    body = {
        "name": "Fresh",
        "sourceId": source,
        "destinationId": destination,
        "schedule": {"scheduleType": "manual"},
        "configurations": {"streams": [{"name": "users", "syncMode": "full_refresh_overwrite"}]},
    }
    connection: str = server.call("POST", f"{PUBLIC}/connections", body)["connectionId"]
    page = visit(f"/connections/{connection}")
    page.get_by_text("It reads 1 stream from the beginning and writes it to New files").wait_for()
    page.get_by_text("It starts only by hand.").wait_for()
    assert page.get_by_text("The last 30 days").count() == 0
    accessible(page)
    page.set_viewport_size({"width": 390, "height": 844})
    fits(page)
    page.get_by_role("button", name="Start the first sync").click()
    page.get_by_text("The last 30 days").wait_for()
    [job] = server.call("GET", f"{OWN}/jobs?connectionId={connection}")["data"]
    assert job["kind"] == "sync"


def test_the_streams_of_a_connection_are_changed_where_they_are_looked_at(
    visit: Callable[..., Any], people: People
) -> None:
    page = visit("/connections")
    page.get_by_role("link", name="Hourly").first.click()
    page.get_by_role("tab", name="Streams & fields").click()
    row = page.get_by_role("listitem").filter(has=page.get_by_role("button", name="users", exact=True))
    row.get_by_text("Succeeded").wait_for()
    page.get_by_text("1 of 3 chosen").wait_for()

    # Fields with types, values of real records, and a record as chunks.
    page.get_by_role("button", name="users", exact=True).click()
    fields = page.get_by_role("group", name="Fields of users")
    fields.get_by_text("date-time").first.wait_for()
    page.get_by_role("button", name="Sample values").click()
    fields.get_by_text("@").first.wait_for()
    page.get_by_role("button", name="Show a record as chunks").click()
    page.get_by_text("Chunk 1 ·").wait_for()
    accessible(page)
    picture(page, "connection-streams")

    # Without a field that is embedded nothing could be searched: said at once.
    for name in ("name", "title"):
        if fields.get_by_role("checkbox", name=name, exact=True).count():
            fields.get_by_role("checkbox", name=name, exact=True).uncheck()
    page.get_by_role("alert").filter(has_text="none of these fields is chosen").wait_for()
    assert page.get_by_role("button", name="Save …").is_disabled()
    fields.get_by_role("checkbox", name="name", exact=True).check()

    page.get_by_role("button", name="Add a mapper").click()
    page.get_by_role("menuitem", name="Hash a field").click()
    mapper = page.get_by_role("group", name="Mapper 1: Hash a field")
    mapper.get_by_text("Choose its field.").wait_for()
    mapper.get_by_label("Field", exact=True).fill("email")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Save …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("New mappers: email hashed.").wait_for()
    dialog.get_by_label("Refresh users now").check()
    accessible(page)
    picture(page, "connection-streams-save")
    dialog.get_by_role("button", name="Save and refresh").click()
    page.get_by_text("The streams were saved").wait_for()
    [users] = people.streams()
    assert users["mappers"][0]["mapperConfiguration"]["targetField"] == "email"
    job = people.ended()
    assert (job["kind"], job["status"]) == ("refresh", "succeeded")

    # A phone shows the same, opened at the stream that the address names.
    page = visit(f"/connections/{people.connection}?tab=streams&stream=users", width=390, height=844, dark=True)
    page.get_by_role("group", name="Mapper 1: Hash a field").wait_for()
    fits(page)
    accessible(page)
    picture(page, "connection-streams-phone")


def test_of_two_who_change_one_connection_the_second_sees_what_the_first_did(
    visit: Callable[..., Any], people: People
) -> None:
    place = f"{OWN}/connections/{people.connection}"
    path = f"{PUBLIC}/connections/{people.connection}"
    loaded, before = people.server.call("GET", place), people.streams()
    page = visit(f"/connections/{people.connection}?tab=streams&stream=users")
    fields = page.get_by_role("group", name="Fields of users")
    fields.get_by_role("checkbox", name="age", exact=True).uncheck()
    page.get_by_role("button", name="Save …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Save", exact=True).wait_for()
    # The page has not heard of the change yet, however often it asks.
    page.route(f"**{place}", lambda route: route.fulfill(json=loaded))
    others = [stream for stream in before if stream["name"] != "users"]
    renamed = [{**stream, "destinationObjectName": "members"} for stream in before if stream["name"] == "users"]
    people.server.call("PATCH", path, {"configurations": {"streams": [*others, *renamed]}})
    dialog.get_by_role("button", name="Save", exact=True).click()
    dialog.get_by_text("Somebody has changed the connection since it was loaded here").wait_for()
    assert [stream.get("destinationObjectName") for stream in people.streams() if stream["name"] == "users"] == [
        "members"
    ]
    # The page reads again: both changes are there.
    page.unroute(f"**{place}")
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_text("Somebody else saved changes meanwhile").wait_for()
    accessible(page)
    assert not fields.get_by_role("checkbox", name="age", exact=True).is_checked()
    page.get_by_role("button", name="Save …").click()
    dialog.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("The streams were saved").wait_for()
    [users] = [stream for stream in people.streams() if stream["name"] == "users"]
    assert users["destinationObjectName"] == "members"
    assert {"fieldPath": ["age"]} not in users["selectedFields"]
    # A change of something else does not stop one of the streams.
    fields.get_by_role("checkbox", name="age", exact=True).check()
    people.server.call("PATCH", path, {"name": "Hourly people"})
    page.get_by_role("button", name="Save …").click()
    dialog.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("The streams were saved").last.wait_for()
    people.server.call("PATCH", path, {"name": "Hourly", "configurations": {"streams": before}})


def test_the_overview_shows_how_old_the_data_is_what_ran_and_who_changed_what(
    visit: Callable[..., Any], people: People
) -> None:
    page = visit(f"/connections/{people.connection}?tab=settings")
    # A source that cannot follow its changes is not offered to be followed, and the reason is said.
    page.get_by_text("The source Sample data cannot follow changes").wait_for()
    assert page.get_by_text("Continuous", exact=True).count() == 0
    # What is wrong with a schedule is said at its field, and a usual one needs no typing.
    page.get_by_text("Cron", exact=True).click()
    expression = page.get_by_label("Expression", exact=True)
    expression.fill("61 * * * *")
    page.get_by_role("alert").filter(has_text="61 * * * * is not a cron expression").wait_for()
    page.get_by_role("button", name="Weekdays at 6:00").click()
    assert expression.input_value() == "0 6 * * 1-5"
    page.get_by_role("status").filter(has_text="Next: ").wait_for()
    page.get_by_text("Weekdays at 06:00").wait_for()
    accessible(page)
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The settings were saved").wait_for()

    page.get_by_role("tab", name="Overview").click()
    page.get_by_text("due weekdays at 06:00").wait_for()
    happened = page.get_by_role("list", name="What happened")
    happened.get_by_text("changed the schedule").wait_for()
    happened.get_by_role("link", name="Sync").first.wait_for()
    page.get_by_role("img", name="Succeeded").wait_for()
    for width, dark in ((1440, False), (390, True)):
        page = visit(f"/connections/{people.connection}", width=width, dark=dark)
        page.get_by_role("list", name="What happened").wait_for()
        fits(page)
        accessible(page)
        picture(page, f"connection-overview-{width}")


def test_a_database_is_followed_and_its_replication_slot_shown_until_both_are_deleted(
    visit: Callable[..., Any], server: Running, captured: Any, tmp_path: Path
) -> None:
    captured.run("CREATE TABLE orders (id int PRIMARY KEY, name text)", "INSERT INTO orders VALUES (1, 'a'), (2, 'b')")
    method = {"method": "CDC", "replication_slot": captured.name, "publication": "changes"}
    source = server.make("source", "postgres", "Shop", {**captured.config, "replication_method": method})
    destination = server.make("destination", "sqlite", "Copy", {"path": str(tmp_path / "copy.sqlite")})
    streams = [{"name": "orders", "namespace": "public", "syncMode": "incremental_deduped_history"}]
    body = {"name": "Orders", "sourceId": source, "destinationId": destination, "configurations": {"streams": streams}}
    connection: str = server.call("POST", f"{PUBLIC}/connections", body)["connectionId"]
    page = visit(f"/connections/{connection}?tab=settings")
    page.get_by_text("Continuous", exact=True).click()
    page.get_by_label("Reconcile every … minutes").fill("2")
    accessible(page)
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The settings were saved").wait_for()
    page.get_by_role("tab", name="Overview").click()
    for state in ("read by a job", "waits for the next sync"):
        page.get_by_text(f"Replication slot {captured.name}: {state}").wait_for()
        page.get_by_text("of log retained in PostgreSQL at 127.0.0.1").wait_for()
        for width, dark in ((390, True), (1440, False)):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme="dark" if dark else "light")
            fits(page)
            accessible(page)
            picture(page, f"connection-slot-{state.split()[0]}-{width}")
        if state == "read by a job":
            # A job without an end does not go on to its end.
            page.get_by_role("button", name="Pause").click()
            dialog = page.get_by_role("dialog", name="Pause Orders?")
            dialog.get_by_text("The running job stops at its next checkpoint").wait_for()
            dialog.get_by_role("button", name="Pause further syncs").click()
    with sqlite3.connect(tmp_path / "copy.sqlite") as copy:
        assert copy.execute("SELECT id, name FROM orders ORDER BY id").fetchall() == [(1, "a"), (2, "b")]

    page.get_by_role("tab", name="Settings").click()
    page.get_by_role("button", name="Delete …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text(f"The replication slot {captured.name} of PostgreSQL at 127.0.0.1").wait_for()
    dialog.get_by_label("Type “Orders”").fill("Orders")
    dialog.get_by_role("button", name="Delete the connection").click()
    page.get_by_text("Dropped: ").wait_for()
    assert captured.run("SELECT 1 FROM pg_replication_slots WHERE database = current_database()") == []


def test_another_prefix_is_saved_once_the_viewer_knows_what_becomes_of_the_data(
    visit: Callable[..., Any], people: People
) -> None:
    def stored() -> tuple[str, bool]:
        connection = people.server.call("GET", f"{PUBLIC}/connections/{people.connection}")
        state = people.server.call("GET", f"{OWN}/connections/{people.connection}/state")
        return connection["prefix"], bool(state["states"])

    assert stored() == ("", True)
    page = visit(f"/connections/{people.connection}?tab=settings")
    page.get_by_label("Prefix of the streams").fill("eu_")
    page.get_by_role("button", name="Save", exact=True).click()
    dialog = page.get_by_role("dialog", name="Write the streams under other names?")
    dialog.get_by_text("the stream users is written as eu_users in Vectors, no longer as users").wait_for()
    dialog.get_by_text("What is stored under the present names stays").wait_for()
    accessible(page)
    picture(page, "connection-prefix")
    dialog.get_by_role("button", name="Cancel").click()
    dialog.wait_for(state="detached")
    assert stored() == ("", True)
    page.get_by_role("button", name="Save", exact=True).click()
    dialog.get_by_role("button", name="Save and reset the state").click()
    page.get_by_text("The settings were saved").wait_for()
    assert stored() == ("eu_", False)
    # The next sync reads everything, and the data of before stays.
    people.server.call("POST", f"{OWN}/connections/{people.connection}/sync")
    assert people.ended()["records"] == 40
    held = people.server.call("GET", f"{OWN}/destinations/{people.destination}/data/streams")["data"]
    assert {stream["name"]: stream["records"] for stream in held} == {"users": 40, "eu_users": 40}
    people.server.call("PATCH", f"{PUBLIC}/connections/{people.connection}", {"prefix": ""})


def test_a_large_loss_at_the_source_waits_for_the_viewer(
    visit: Callable[..., Any], server: Running, tmp_path: Path
) -> None:
    source = server.make("source", "sample", "Leaving people", {"count": 20})
    destination = server.make("destination", "duckdb", "Kept people", {"path": str(tmp_path / "kept.duckdb")})
    body = {
        "name": "Leaving",
        "sourceId": source,
        "destinationId": destination,
        "configurations": {"streams": [{"name": "users", "syncMode": "full_refresh_update"}]},
    }
    connection: str = server.call("POST", f"{PUBLIC}/connections", body)["connectionId"]
    leaving = People(server, connection, destination, tmp_path)

    page = visit(f"/connections/{connection}?tab=streams")
    page.get_by_role("button", name="users", exact=True).click()
    page.get_by_role("combobox", name="Records missing in the source").click()
    page.get_by_role("option", name="Are removed").click()
    accessible(page)
    page.get_by_role("button", name="Save …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Records that are missing in the source are removed").wait_for()
    dialog.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("The streams were saved").wait_for()
    assert leaving.streams()[0]["detectDeletes"] == "hard"

    server.call("POST", f"{OWN}/connections/{connection}/sync")
    assert leaving.ended()["status"] == "succeeded"
    server.call("PATCH", f"{PUBLIC}/sources/{source}", {"configuration": {"count": 4}})
    server.call("POST", f"{OWN}/connections/{connection}/sync")
    assert leaving.ended()["status"] == "suspicious"

    page = visit(f"/connections/{connection}")
    page.get_by_text("users: the source does not list 16 of 20 records.").wait_for()
    accessible(page)
    page.get_by_role("button", name="Delete them with the next sync").click()
    page.get_by_text("Many records are missing in the source").wait_for(state="detached")
    server.call("POST", f"{OWN}/connections/{connection}/sync")
    assert leaving.ended()["status"] == "succeeded"

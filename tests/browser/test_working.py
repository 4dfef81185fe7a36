"""Connections, jobs and settings in the web interface, on syncs that really run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.browser.conftest import OWN, PUBLIC, Running, accessible, fits, picture

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@dataclass
class Work:
    """What a server has to show: a vector store that was filled, and a connection that has not run."""

    server: Running
    people: str
    other: str
    vectors: str

    def jobs(self, connection: str) -> list[dict[str, Any]]:
        jobs: list[dict[str, Any]] = self.server.call("GET", f"{OWN}/jobs?connectionId={connection}")["data"]
        return jobs

    def ended(self, connection: str) -> dict[str, Any]:
        """The newest job of a connection, once it has ended."""
        return self.server.ended(connection)


@pytest.fixture(scope="module")
def work(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Work:
    folder = tmp_path_factory.mktemp("work")
    people = server.make("source", "sample", "People", {"count": 60})
    vectors = server.make(
        "destination",
        "milvus",
        "Vectors",
        {
            "processing": {"chunk_size": 200, "text_fields": ["name"], "metadata_fields": ["id", "name", "age"]},
            "embedding": {"mode": "fake"},
            "indexing": {"host": str(folder / "v.db"), "collection": "people"},
        },
    )

    def join(name: str, source: str, streams: list[dict[str, Any]], **options: Any) -> str:
        body = {"name": name, "sourceId": source, "destinationId": vectors, "configurations": {"streams": streams}}
        connection_id: str = server.call("POST", f"{PUBLIC}/connections", {**body, **options})["connectionId"]
        return connection_id

    hourly = {"scheduleType": "basic", "basicTiming": "Every 6 HOURS"}
    users = {"name": "users", "syncMode": "incremental_deduped_history"}
    joined = join("Hourly", people, [users], schedule=hourly)
    other = join("Other", people, [users])
    done = Work(server, joined, other, vectors)
    server.call("POST", f"{OWN}/connections/{joined}/sync")
    assert done.ended(joined)["status"] == "succeeded"
    return done


def test_a_connection_is_synced_refreshed_and_followed_to_its_log(visit: Callable[..., Any], work: Work) -> None:
    before = len(work.jobs(work.people))
    page = visit(f"/connections/{work.people}")
    page.get_by_role("heading", name="Hourly").wait_for()
    page.get_by_role("list", name="What happened").get_by_text("60 records").wait_for()
    accessible(page)
    picture(page, "connection")
    page.get_by_role("button", name="Sync now").click()
    page.get_by_text("Sync of Hourly started").wait_for()
    assert len(work.jobs(work.people)) == before + 1
    job = work.ended(work.people)
    page.get_by_role("tab", name="Jobs").click()
    page.get_by_role("link", name=f"Sync {job['jobId']}").click()
    page.get_by_role("heading", name=f"Sync {job['jobId']}").wait_for()
    page.get_by_role("cell", name="users").wait_for()
    page.get_by_text("0 read").first.wait_for()  # nothing is new
    page.get_by_role("log").get_by_text("info").first.wait_for()
    accessible(page)
    picture(page, "job")

    page = visit(f"/connections/{work.people}?tab=streams")
    page.get_by_label("Actions for users").click()
    page.get_by_role("menuitem", name="Refresh").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("is deleted and replaced at the end of the job").wait_for()
    accessible(page)
    dialog.get_by_role("button", name="Delete and replace").click()
    page.get_by_text("Refresh started").wait_for()
    job = work.ended(work.people)
    assert (job["kind"], job["status"]) == ("refresh", "succeeded")


def test_what_a_stream_goes_on_from_is_looked_at_changed_and_forgotten(visit: Callable[..., Any], work: Work) -> None:
    page = visit(f"/connections/{work.people}?tab=state")
    page.get_by_label("State of users").get_by_text("cursor").wait_for()
    accessible(page)
    page.get_by_label("Change the state of users").click()
    field = page.get_by_label("State of users, as JSON")
    field.fill("{")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("This is not valid JSON").wait_for()
    field.fill('{"cursor": "2024-01-01T00:00:07Z"}')
    page.get_by_role("button", name="Save").click()
    page.get_by_label("State of users").get_by_text("00:00:07Z").wait_for()
    page.get_by_label("Reset the state of users").click()
    page.get_by_role("dialog").get_by_role("button", name="Reset the state").click()
    page.get_by_text("No state yet").wait_for()


def test_settings_of_a_connection_are_changed_and_it_is_deleted_after_its_name_was_typed(
    visit: Callable[..., Any], work: Work
) -> None:
    page = visit(f"/connections/{work.other}?tab=settings")
    page.get_by_label("Name").fill("Another one")
    page.get_by_text("Cron", exact=True).click()
    page.get_by_label("Expression", exact=True).fill("61 * * * *")
    page.get_by_role("alert").first.wait_for()
    page.get_by_label("Expression", exact=True).fill("30 6 * * 1-5")
    page.get_by_text("Next:").wait_for()
    page.get_by_label("Add new fields", exact=True).check()
    accessible(page)
    picture(page, "connection-settings")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The settings were saved").wait_for()
    page.get_by_role("heading", name="Another one").wait_for()
    stored = work.server.call("GET", f"{PUBLIC}/connections/{work.other}")
    assert stored["schedule"]["cronExpression"].startswith("30 6 * * 1-5")
    assert stored["nonBreakingSchemaUpdatesBehavior"] == "propagate_columns"
    page.get_by_role("button", name="Delete …").click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("button", name="Delete the connection").is_disabled()
    dialog.get_by_label("Type “Another one”").fill("Another one")
    dialog.get_by_role("button", name="Delete the connection").click()
    page.wait_for_url(re.compile(r"/connections$"))
    page.get_by_role("row", name="Another one").wait_for(state="detached")


def test_a_job_goes_on_when_its_connection_is_paused_and_is_cancelled_where_it_is_followed(
    visit: Callable[..., Any], work: Work
) -> None:
    source = work.server.make("source", "sample", "Many", {"count": 2_000_000})
    streams = [{"name": "users", "syncMode": "full_refresh_overwrite"}]
    body = {"name": "Long", "sourceId": source, "destinationId": work.vectors, "configurations": {"streams": streams}}
    connection = work.server.call("POST", f"{PUBLIC}/connections", {**body, "prefix": "long_"})["connectionId"]
    job = work.server.call("POST", f"{OWN}/connections/{connection}/sync")["jobId"]
    page = visit(f"/jobs/{job}")
    page.get_by_text("Running").first.wait_for()
    page.get_by_role("cell", name="users").wait_for(timeout=120_000)
    page.get_by_text(re.compile(r"of about 2,000,000 records")).first.wait_for()
    page.get_by_text(re.compile(r"^(Reading|Chunking|Embedding|Writing)")).first.wait_for()

    def status() -> tuple[str, str]:
        stored = work.server.call("GET", f"{OWN}/connections/{connection}")
        return stored["status"], stored["job"]["status"]

    page.get_by_role("main").get_by_role("link", name="Long").click()
    page.get_by_role("button", name="Pause").click()
    dialog = page.get_by_role("dialog", name="Pause Long?")
    dialog.get_by_text("The job that runs now goes on to its end").wait_for()
    accessible(page)
    picture(page, "connection-pause")
    dialog.get_by_role("button", name="Cancel").click()
    dialog.wait_for(state="detached")
    assert status() == ("active", "running")
    page.get_by_role("button", name="Pause").click()
    dialog.get_by_role("button", name="Pause further syncs").click()
    page.get_by_role("button", name="Resume").wait_for()
    assert status() == ("inactive", "running")
    # What is being written has its names until the job has ended.
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("Prefix of the streams").fill("longer_")
    page.get_by_text("A job is running: change the prefix when it has ended.").wait_for()
    assert page.get_by_role("button", name="Save", exact=True).is_disabled()
    page.get_by_role("button", name="Discard").click()
    page.get_by_role("link", name="Open the job").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Stopping …").wait_for()
    page.get_by_text("Cancelled").first.wait_for(timeout=120_000)
    page.get_by_role("button", name="Stopping …").wait_for(state="detached")
    assert work.ended(connection)["status"] == "cancelled"
    page = visit("/jobs?status=cancelled")
    page.get_by_role("row", name=f"Sync {job}").get_by_text("Long").wait_for()
    accessible(page)


def test_an_application_shows_its_secret_once(visit: Callable[..., Any], work: Work) -> None:
    page = visit("/settings")
    page.get_by_role("tab", name="Applications").click()
    page.get_by_label("Name of a new application").fill("airflow")
    page.get_by_role("button", name="Create").click()
    page.get_by_text("It is shown only once").wait_for()
    accessible(page)
    page.reload()
    page.get_by_role("cell", name="airflow", exact=True).wait_for()
    assert not page.get_by_text("It is shown only once").count()
    page.get_by_role("button", name="Delete airflow").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete the application").click()
    page.get_by_role("cell", name="airflow", exact=True).wait_for(state="detached")

    page.get_by_role("tab", name="Server").click()
    page.get_by_text("KITESTRING_PORT").first.wait_for()
    accessible(page)
    picture(page, "settings-server")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_what_there_is_to_see_fits_a_phone(visit: Callable[..., Any], work: Work, dark: bool) -> None:
    job = work.jobs(work.people)[-1]["jobId"]
    for path, text in (
        ("/connections", "Hourly"),
        (f"/connections/{work.people}", "Streams & fields"),
        (f"/jobs/{job}", "Log"),
        ("/jobs", "newest first"),
        ("/data?view=search", "What are you looking for?"),
        ("/settings", "A job failed"),
    ):
        page = visit(path, width=390, height=844, dark=dark)
        page.get_by_text(text).first.wait_for()
        fits(page)
        accessible(page)
        picture(page, f"phone{path.replace('/', '-')[:12]}-{'dark' if dark else 'light'}")


def test_the_first_user_is_made_and_a_reader_sees_and_may_not(visit: Callable[..., Any], work: Work) -> None:
    """The last test of this file: from then on the server asks everybody for credentials."""
    page = visit("/settings?tab=users")
    page.get_by_role("button", name="Add a user").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("E-mail address").fill("root@example.com")
    dialog.get_by_label("Password", exact=True).fill("correct horse battery")
    dialog.get_by_role("button", name="Add the user").click()
    page.get_by_role("dialog", name="Sign-in is on now").wait_for()
    sign_in(page, "root@example.com")
    page.get_by_text("root · you").wait_for()
    page.get_by_role("button", name="Add a user").click()
    dialog.get_by_label("E-mail address").fill("looker@example.com")
    dialog.get_by_label("Password", exact=True).fill("correct horse battery")
    dialog.get_by_role("button", name="Add the user").click()
    page.get_by_text("reader of Default Workspace").wait_for()
    accessible(page)
    picture(page, "settings-users")

    page = visit(f"/connections/{work.people}?tab=streams")
    sign_in(page, "looker@example.com")
    page.get_by_role("heading", name="Hourly").wait_for()
    page.get_by_text("60 read").wait_for()
    for name in ("Sync now", "Pause"):
        assert not page.get_by_role("button", name=name).count()
    page.get_by_label("Actions for users").click()
    page.get_by_role("menuitem", name="Data").wait_for()
    assert page.get_by_role("menuitem").all_inner_texts() == ["Data"]
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("tab", name="Applications").wait_for()
    assert page.get_by_role("tab").all_inner_texts() == ["Applications", "Configuration as code", "Connector updates"]


def sign_in(page: Any, email: str) -> None:
    form = page.locator("form", has=page.get_by_role("button", name="Sign in", exact=True))
    form.get_by_label("E-mail").fill(email)
    form.locator("input[type=password]").fill("correct horse battery")
    form.get_by_role("button", name="Sign in", exact=True).click()

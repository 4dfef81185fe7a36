"""Jobs in the web interface: how far they are, why they failed, many streams, long logs. The tests are the worker."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kitestring.server.context import Context
from kitestring.server.http.web_interface import DIST, PAGE
from kitestring.server.jobs.claim import Claim
from kitestring.server.jobs.log import Log, Logs
from kitestring.server.settings import Settings
from tests.browser.chromium import CHROMIUM
from tests.browser.conftest import OWN, PUBLIC, Running, accessible, fits, picture, until

pytestmark = [pytest.mark.browser, pytest.mark.slow]
REFUSED = {
    "type": "AuthError",
    "message": "GET https://example.com/api/v2/incremental/tickets/cursor.json answered 401: Couldn't authenticate you",
    "hint": "Check the credentials.",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server without workers."""
    if not CHROMIUM:
        pytest.skip("there is no Chromium on the path")
    if not (DIST / PAGE).is_file():
        pytest.skip("the web interface is not built (make ui)")
    running = Running(tmp_path_factory.mktemp("server") / "home", KITESTRING_WORKERS="0")
    yield running
    running.close()


class Worker:
    """Claims the jobs of a server's store and reports them, as a worker does."""

    def __init__(self, server: Running) -> None:
        self.server = server
        self.context = Context.of(Settings(home=server.home, workers=0))
        self.queue = self.context.queue
        self.source = server.make("source", "sample", "Help desk", {"count": 10})
        self.destination = server.make("destination", "files", "Archive", {"path": str(server.home.parent / "out")})

    def begin(self, name: str) -> Claim:
        """A running sync of a connection with this name."""
        streams = [{"name": "users", "syncMode": "full_refresh_overwrite"}]
        ends = {"sourceId": self.source, "destinationId": self.destination}
        body = {"name": name, **ends, "configurations": {"streams": streams}}
        connection = self.server.call("POST", f"{PUBLIC}/connections", body)["connectionId"]
        self.server.call("POST", f"{OWN}/connections/{connection}/sync")
        claim = self.queue.claim("machine:1")
        assert claim is not None
        assert claim.connection_id == connection
        return claim

    def log(self, claim: Claim) -> Log:
        return Log(Logs(self.server.home).path(claim.job_id, claim.attempt))


@pytest.fixture(scope="module")
def worker(server: Running) -> Iterator[Worker]:
    worker = Worker(server)
    yield worker
    worker.context.close()


def progress_of(embedded: int) -> dict[str, Any]:
    """What a job's process reports while it embeds."""
    figures = {"chunks_embedded": embedded, "chunks_to_embed": 470, "tokens": embedded * 50, "cost_usd": embedded / 1e5}
    counts = {"read": 470, "written": 0, "records_per_s": 5.5, "done": embedded, "total": 470, "left_s": 47}
    tickets = {"status": "reading", "phase": "embedding", "bytes": 9000, "lag_s": None, "figures": figures, **counts}
    return {
        "seconds": 40.0,
        "waiting": None,
        "streams": {"tickets": tickets, "articles": {"status": "waiting", "read": 0, "written": 0, "bytes": 0}},
        "summary": {
            "phase": "embedding",
            "stream": "tickets",
            "streams": 2,
            "streams_ended": 0,
            "finished": 0,
            "to_finish": 0,
            "figures": figures,
            "waiting": None,
            **counts,
        },
    }


def test_a_running_job_shows_its_phase_its_share_the_time_left_and_the_cost_as_it_goes(
    visit: Callable[..., Any], worker: Worker
) -> None:
    claim = worker.begin("Tickets → vectors")
    page = visit(f"/jobs/{claim.job_id}")
    page.get_by_text("Starting").first.wait_for()
    worker.queue.save_progress({claim: progress_of(210)})
    page.get_by_text("Embedding 210 of 470 chunks (tickets)").wait_for()
    assert page.get_by_role("progressbar", name="Progress", exact=True).get_attribute("aria-valuetext") == "44 %"
    for fact in ("210 of 470 records", "about 50 s left", "10,500 tokens", "$0.0021 so far"):
        page.get_by_text(fact, exact=True).first.wait_for()
    page.get_by_role("row", name="tickets").get_by_text("Embedding 210 of 470 chunks").wait_for()
    accessible(page)
    picture(page, "job-running")
    log = worker.log(claim)
    for number in range(3000):
        log.entry("info", f"line {number}")
    worker.queue.save_progress({claim: progress_of(420)})
    page.get_by_text("Embedding 420 of 470 chunks (tickets)").wait_for()
    page.get_by_role("log").get_by_text("line 2999").wait_for()  # followed
    page.set_viewport_size({"width": 390, "height": 844})
    fits(page)
    page = visit("/jobs", width=390, height=844)
    row = page.get_by_role("row", name=f"Sync {claim.job_id}")
    row.get_by_text("Embedding 420 of 470 chunks").wait_for()
    fits(page)
    accessible(page)
    picture(page, "phone-jobs-running")
    page = visit(f"/jobs/{claim.job_id}", dark=True)
    page.get_by_text("Embedding 420 of 470 chunks (tickets)").wait_for()
    accessible(page)
    log.close()
    figures = {"chunks_embedded": 470, "chunks_reused": 3, "tokens": 39158, "cost_usd": 0.0008}
    tickets = {"status": "succeeded", "read": 470, "written": 454, "deleted": 16, "bytes": 1000, "seconds": 103}
    worker.queue.finish(claim, "succeeded", streams={"tickets": {**tickets, "figures": figures}})
    row = page.get_by_role("row", name="tickets")
    row.get_by_text("Succeeded").wait_for()
    for text in ("454 written", "470 read · 16 deleted", "3 reused", "$0.0008", "39,158 tokens"):
        row.get_by_text(text).wait_for()
    page.get_by_role("progressbar").first.wait_for(state="detached")


def test_a_failed_job_of_many_streams_opens_at_what_failed(visit: Callable[..., Any], worker: Worker) -> None:
    claim = worker.begin("Many streams")
    log = worker.log(claim)
    for number in range(9000):
        log.entry(
            "error" if number in (6000, 8000) else "info", f"page {number} was read", stream=f"stream_{number % 999}"
        )
    log.close()
    streams = {
        f"stream_{number:04}": {
            "status": "failed" if number == 700 else "succeeded",
            "read": number,
            "written": number,
            "bytes": number * 100,
            "seconds": 1.0,
            **({"error": REFUSED} if number == 700 else {}),
        }
        for number in range(1000)
    }
    worker.queue.finish(claim, "failed", streams=streams, error=REFUSED)
    page = visit(f"/jobs/{claim.job_id}", width=1440, height=900)
    page.get_by_role("alert").get_by_text("Check the credentials.").wait_for()
    table = page.get_by_role("table", name="Streams of the attempt")
    assert "stream_0700" in table.get_by_role("row").nth(1).inner_text()
    assert table.get_by_role("row").count() < 60
    marked = "(() => { const line = document.querySelector('[data-marked]'), box = document.querySelector('.log');"
    inside = "line.getBoundingClientRect().top >= box.getBoundingClientRect().top"
    displayed = f"{marked} return line && {inside} && line.textContent.includes('page %d ') }})()"
    until(page, displayed % 6000)
    assert page.get_by_role("heading", name="Log").bounding_box()["y"] < 900
    accessible(page)
    picture(page, "job-many-streams")
    page.get_by_role("button", name="Next error").click()
    until(page, displayed % 8000)
    page.get_by_role("button", name="Earlier lines").click()
    page.get_by_label("Search the log").fill("page 4711 ")
    page.get_by_role("log").get_by_text("page 4711 was read").wait_for()
    page.get_by_role("log").get_by_text("page 4711 was read").click()
    page.get_by_role("button", name="Copy link").click()
    page.wait_for_url(re.compile(r"attempt=1&line=\d+"))
    page.goto(page.url)
    until(page, displayed % 4711)
    page.get_by_label("Wrap lines").uncheck()
    page.get_by_label("Search the log").fill("no such words anywhere")
    page.get_by_text("contains “no such words anywhere”").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert Path(download.value.path()).read_text("utf-8").count("\n") == 9000
    page.get_by_label("Search streams").fill("0042")
    table.get_by_text("stream_0042").wait_for()
    assert table.get_by_role("row").count() == 3
    page.set_viewport_size({"width": 390, "height": 844})
    fits(page)
    accessible(page)
    picture(page, "phone-job-failed")
    page.get_by_role("link", name="Open the source").click()
    page.wait_for_url(re.compile(f"/sources/{worker.source}"))


def test_jobs_are_counted_by_status_and_filtered_in_the_address(visit: Callable[..., Any], worker: Worker) -> None:
    for number in range(60):
        worker.queue.finish(worker.begin(f"Nightly {number}"), "cancelled", streams={})
    page = visit("/jobs?text=nightly")
    page.get_by_text("Cancelled 60").click()
    page.wait_for_url(re.compile("status=cancelled"))
    page.get_by_role("row", name="Nightly 59").wait_for()
    page.get_by_role("button", name="Older").click()
    page.wait_for_url(re.compile(r"before=\d+"))
    page.get_by_role("row", name=re.compile("Nightly 0")).wait_for()
    page.get_by_role("button", name="Newest").click()
    page.get_by_role("row", name="Nightly 59").wait_for()
    page.get_by_label("Search by connection").fill("nothing like it")
    page.get_by_text("No job matches the filter").wait_for()
    accessible(page)

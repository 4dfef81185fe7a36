"""The web interface with much to show: main thread of the browser for a list, a large job, a log that is followed,
and the connector builder with a manifest of 200 streams.

    python benchmarks/interface.py [--connections 300] [--streams 1000] [--lines 2000] [--seconds 20] [--rounds 3]
    python benchmarks/interface.py --only builder

A server in this process, on SQLite in a temporary folder, and the Chromium of this machine (`make ui` first). A page is
opened by a click in the loaded interface, as people do; what counts is the processor time of the page's main thread
from the click until nothing changes any more, by Chromium's own count, which a busy machine hardly moves. `--keep`
leaves the server running for a look.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from kitestring.server.context import Context
from kitestring.server.jobs.log import Log, Logs
from kitestring.server.jobs.queue import Claim
from kitestring.server.run import Server
from kitestring.server.settings import Settings
from kitestring.server.store.store import new_id
from kitestring.server.store.tables import connections, destinations, sources, workspaces

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.browser.chromium import CHROMIUM, FLAGS

QUIET_MS = 700
FAILURE = {
    "type": "AuthError",
    "message": "GET https://example.com/api/v2/tickets answered 401",
    "hint": "Renew the token.",
}


def fill(context: Context, count: int) -> list[str]:
    """Connections with syncs that have ended, in the first workspace; their ids."""
    store = context.store
    with store.write() as db:
        now, workspace = store.now_ms(db), db.execute(select(workspaces.c.id).limit(1)).scalar_one()
        end = {
            "workspace_id": workspace,
            "definition_id": new_id(),
            "config": {},
            "created_at_ms": now,
            "updated_at_ms": now,
        }
        source, destination = new_id(), new_id()
        db.execute(insert(sources).values(id=source, connector="sample", name="Help desk", **end))
        db.execute(insert(destinations).values(id=destination, connector="files", name="Archive", **end))
        rows = [
            {
                "id": new_id(),
                "workspace_id": workspace,
                "name": f"connection {number}",
                "source_id": source,
                "destination_id": destination,
                "status": "active",
                "schedule": {"type": "basic", "every": 24, "unit": "hours"},
                "next_run_at_ms": now + 86_400_000 + number,
                "namespace_definition": "destination",
                "prefix": "",
                "schema_policy": "ignore",
                "streams": [{"name": "users", "syncMode": "full_refresh_overwrite"}],
                "options": {},
                "created_at_ms": now - number,
                "updated_at_ms": now,
            }
            for number in range(count)
        ]
        db.execute(insert(connections), rows)
    return [str(row["id"]) for row in rows]


def begin(context: Context, connection: str) -> Claim:
    with context.store.write() as db:
        context.queue.enqueue(db, connection)
    claim = context.queue.claim("bench")
    assert claim is not None
    return claim


def results(count: int, failures: int) -> dict[str, dict[str, Any]]:
    """The figures of many streams, some of them failed."""
    draw = random.Random(7)
    return {
        f"stream_{number:04}": {
            "status": "failed" if number % (count // failures) == 3 else "succeeded",
            "read": (read := draw.randrange(100_000)),
            "written": read,
            "bytes": read * 300,
            "seconds": read / 1000,
            "figures": {
                "chunks_embedded": read * 2,
                "chunks_reused": read // 3,
                "tokens": read * 90,
                "cost_usd": read / 1e5,
            },
            **({"error": FAILURE} if number % (count // failures) == 3 else {}),
        }
        for number in range(count)
    }


def large_job(context: Context, connection: str, streams: int) -> int:
    """A failed job with many streams and a log of 20,000 lines; its id."""
    claim = begin(context, connection)
    log = Log(Logs(context.settings.home).path(claim.job_id, claim.attempt))
    for number in range(20_000):
        level = "error" if number == 15_000 else "info"
        log.entry(
            level, f"page {number} of stream_{number % streams:04} was read", records=100, url="https://example.com/api"
        )
    log.close()
    context.queue.finish(claim, "failed", streams=results(streams, max(1, streams // 40)), error=FAILURE)
    return claim.job_id


@contextmanager
def running_job(context: Context, connection: str, lines_per_s: int) -> Iterator[int]:
    """A job that runs, with a log that grows by so many lines a second."""
    claim, ended = begin(context, connection), threading.Event()
    log = Log(Logs(context.settings.home).path(claim.job_id, claim.attempt))

    def write() -> None:
        began, written = time.monotonic(), 0
        while not ended.wait(0.05):
            due = int((time.monotonic() - began) * lines_per_s)
            while written < due:
                written += 1
                log.entry(
                    "info", f"record {written} was read", stream="tickets", url="https://example.com/api/v2/tickets"
                )

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield claim.job_id
    finally:
        ended.set()
        thread.join()
        log.close()
        context.queue.finish(claim, "cancelled")


class Page:
    """A page of the browser, and what its main thread has done."""

    def __init__(self, browser: Any, url: str) -> None:
        self.url = url
        self.page = browser.new_page(viewport={"width": 1440, "height": 900})
        self.session = self.page.context.new_cdp_session(self.page)
        self.session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent_ms(self) -> dict[str, float]:
        """Milliseconds since the page began, by kind; without those of our own commands to the page."""
        metrics = {
            each["name"]: each["value"] * 1000 for each in self.session.send("Performance.getMetrics")["metrics"]
        }
        spent = {name: value for name, value in metrics.items() if name.endswith("Duration")}
        return {**spent, "TaskDuration": spent["TaskDuration"] - spent["DevToolsCommandDuration"]}

    def settled(self, began: float) -> tuple[dict[str, float], float]:
        """What was spent until nothing changes any more, and milliseconds of the clock until then.

        Nothing looks for a text meanwhile: each look walks through the whole page, on the same thread."""
        end, clock_ms = self.spent_ms(), 0.0
        while (since_ms := (time.perf_counter() - began) * 1000) < clock_ms + QUIET_MS:
            time.sleep(0.1)
            latest = self.spent_ms()
            if latest["TaskDuration"] > end["TaskDuration"] + 2:
                clock_ms, end = since_ms, latest
        return self.spent_ms(), clock_ms

    def opened(self, path: str, ready: str, before: str = "/settings") -> tuple[dict[str, float], float]:
        """Milliseconds of the main thread by kind, and those of the clock until `ready` was there."""
        self.page.goto(self.url + before)
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(QUIET_MS)
        start, began = self.spent_ms(), time.perf_counter()
        # A click on a link of the interface: the router takes it, the page is not loaded again. By a timer: no part
        # of the command that starts it.
        go = "history.pushState({}, '', path); dispatchEvent(new PopStateEvent('popstate'))"
        self.page.evaluate(f"path => setTimeout(() => {{ {go} }})", path)
        end, clock_ms = self.settled(began)
        self.page.get_by_text(ready).first.wait_for(timeout=1000)
        return {name: end[name] - start[name] for name in end}, clock_ms


def show(title: str, spent: Mapping[str, float], rest: str) -> None:
    print(
        f"{title:44} main thread {spent['TaskDuration']:6.0f} ms   scripts {spent['ScriptDuration']:6.0f}   "
        f"layout {spent['LayoutDuration']:5.0f}   styles {spent['RecalcStyleDuration']:5.0f}   {rest}",
        flush=True,
    )


def measure_page(browser: Any, url: str, title: str, path: str, ready: str, rounds: int) -> None:
    taken = []
    page = Page(browser, url)
    page.opened(path, ready)  # the first time loads the page's own scripts
    for _ in range(rounds):
        taken.append(page.opened(path, ready))
    page.page.close()
    spent = {name: statistics.median(each[0][name] for each in taken) for name in taken[0][0]}
    best_ms = min(each[0]["TaskDuration"] for each in taken)
    show(title, spent, f"best {best_ms:.0f} ms; there after {statistics.median(each[1] for each in taken):.0f} ms")


def measure_log(browser: Any, url: str, job: int, seconds: float) -> None:
    """Follow a log for some time: the share of the main thread, the longest task, and how far behind the view is."""
    page = Page(browser, url)
    page.page.goto(f"{url}/jobs/{job}")
    page.page.get_by_role("log").get_by_text("was read").first.wait_for(timeout=120_000)
    page.page.wait_for_timeout(3_000)
    page.page.evaluate(
        "() => { window.longest = 0; new PerformanceObserver(list => { for (const task of list.getEntries())"
        " window.longest = Math.max(window.longest, task.duration) }).observe({entryTypes: ['longtask']}) }"
    )
    last = "() => Number(/record (\\d+)/.exec([...document.querySelectorAll('.log-row')].at(-1).textContent)[1])"
    start, began, first = page.spent_ms(), time.perf_counter(), page.page.evaluate(last)
    page.page.wait_for_timeout(seconds * 1000)
    elapsed_s, end, latest = time.perf_counter() - began, page.spent_ms(), page.page.evaluate(last)
    spent = {name: (end[name] - start[name]) / elapsed_s for name in end}
    longest = page.page.evaluate("() => window.longest")
    show(
        "a log that is followed, per second", spent,
        f"{(latest - first) / elapsed_s:,.0f} lines/s shown; longest task {longest:.0f} ms of the clock",
    )  # fmt: skip
    page.page.close()


STREAM = """
  # The stream {number}.
  - type: DeclarativeStream
    name: stream_{number}
    primary_key: [id]
    retriever:
      type: SimpleRetriever
      requester:
        $ref: '#/definitions/requester'
        path: /v1/things_{number}
        request_parameters:
          expand: "all"
          since: "{{{{ stream_interval['start_time'] }}}}"
      record_selector:
        type: RecordSelector
        extractor: {{type: DpathExtractor, field_path: [data]}}
      paginator:
        type: DefaultPaginator
        page_token_option: {{type: RequestOption, inject_into: request_parameter, field_name: page}}
        pagination_strategy: {{type: PageIncrement, page_size: 100, start_from_page: 1}}
    schema_loader:
      type: InlineSchemaLoader
      schema:
        type: object
        properties:
          id: {{type: [integer, 'null']}}
          name: {{type: [string, 'null']}}
          updated_at:
            type: [string, 'null']
            format: date-time
          labels:
            type: array
            items: {{type: string}}
"""


def manifest(streams: int) -> str:
    """A manifest of many streams, about a kilobyte each."""
    head = (
        "version: 6.0.0\ntype: DeclarativeSource\ncheck:\n  type: CheckStream\n  stream_names: [stream_0]\n"
        "definitions:\n  requester:\n    type: HttpRequester\n    url_base: https://api.example.com\n"
        "    http_method: GET\nstreams:"
    )
    return head + "".join(STREAM.format(number=number) for number in range(streams))


@contextmanager
def longest_task(page: Any) -> Iterator[dict[str, float]]:
    """The longest task of the page's main thread meanwhile: its milliseconds of the processor, and of the clock."""
    session, events, ended = page.context.new_cdp_session(page), list[dict[str, Any]](), list[Any]()
    longest = {"cpu_ms": 0.0, "clock_ms": 0.0}
    session.on("Tracing.dataCollected", lambda message: events.extend(message["value"]))
    session.on("Tracing.tracingComplete", lambda message: ended.append(message))
    categories = {"includedCategories": ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline"]}
    session.send("Tracing.start", {"transferMode": "ReportEvents", "traceConfig": categories})
    yield longest
    session.send("Tracing.end")
    while not ended:
        page.wait_for_timeout(50)
    mains = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    for event in events:
        if event["ph"] == "X" and event["name"].endswith("RunTask") and (event["pid"], event["tid"]) in mains:
            longest["cpu_ms"] = max(longest["cpu_ms"], event.get("tdur", 0) / 1000)
            longest["clock_ms"] = max(longest["clock_ms"], event["dur"] / 1000)


def measure_builder(browser: Any, url: str, context: Context, rounds: int) -> None:
    """A manifest of 200 streams: opened, then typed in as YAML and in a field of the form."""
    import httpx

    text = manifest(200)
    with context.store.read() as db:
        workspace = db.execute(select(workspaces.c.id).limit(1)).scalar_one()
    body = {"workspaceId": str(workspace), "name": "Large", "manifest": text}

    def project() -> str:
        answer = httpx.post(f"{url}/api/kitestring/v1/builder/projects", json=body).raise_for_status().json()
        return f"/builder/{answer['projectId']}"

    title = f"a manifest of 200 streams, {len(text) // 1000} kB"
    measure_page(browser, url, title + ": opened", project(), "stream_3", rounds)
    for view, label in (
        ("yaml", "typed as YAML"),
        ("both", "typed as YAML beside the form"),
        ("form", "typed in the form"),
    ):
        page = Page(browser, url)
        page.opened(f"{project()}?part=streams.100&view={view}", "All changes are saved")
        if view == "form":
            page.page.get_by_role("textbox", name=re.compile("^Path")).first.click()
        else:
            editor = page.page.get_by_role("textbox", name="YAML of the connector")
            editor.wait_for()
            editor.click()
            page.page.keyboard.press("PageDown")
            page.page.keyboard.press("End")
        page.page.wait_for_timeout(QUIET_MS)
        with longest_task(page.page) as longest:
            start = page.spent_ms()
            for letter in "words that are typed one by one":
                page.page.keyboard.press("Space" if letter == " " else letter)
                page.page.wait_for_timeout(40)
            page.page.wait_for_timeout(QUIET_MS)
            end = page.spent_ms()
        show(
            f"{title}: {label}, per key",
            {name: (end[name] - start[name]) / 31 for name in end},
            f"longest task {longest['cpu_ms']:.0f} ms of the processor, {longest['clock_ms']:.0f} ms of the clock",
        )
        page.page.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=300)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--lines", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["list", "job", "log", "builder"])
    parser.add_argument("--keep", action="store_true")
    words = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder:
        context = Context.of(Settings(home=Path(folder) / "home", port=0, workers=0))
        server = Server(context)
        server.start()
        try:
            ids = fill(context, words.connections)
            for connection in ids[2:]:
                context.queue.finish(begin(context, connection), "succeeded", streams=results(1, 1))
            job = large_job(context, ids[0], words.streams)
            print(f"{words.connections} connections; job {job} has {words.streams} streams; {server.url}", flush=True)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
                if words.only in (None, "list"):
                    title = f"{words.connections} connections"
                    measure_page(browser, server.url, title, "/connections", "connection 0", words.rounds)
                if words.only in (None, "job"):
                    title = f"a job of {words.streams} streams"
                    measure_page(browser, server.url, title, f"/jobs/{job}", "page 15000 of", words.rounds)
                if words.only in (None, "log"):
                    with running_job(context, ids[1], words.lines) as running:
                        measure_log(browser, server.url, running, words.seconds)
                if words.only in (None, "builder"):
                    measure_builder(browser, server.url, context, words.rounds)
                browser.close()
            while words.keep:
                time.sleep(1)
        finally:
            server.stop()
            context.close()


if __name__ == "__main__":
    main()

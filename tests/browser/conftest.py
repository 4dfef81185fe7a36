"""A browser, a server with the web interface, and pages in which nothing may go wrong.

    def test_it(visit, server):
        page = visit("/sources")

`KITESTRING_SCREENSHOTS=FOLDER` keeps the pictures that `picture(page, "name")` takes.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from kitestring.server.http.web_interface import DIST, PAGE
from tests.browser.chromium import CHROMIUM, FLAGS
from tests.preloaded_command import PreloadedCommand

ROOT = Path(__file__).parents[2]
AXE = ROOT / "kitestring" / "ui" / "node_modules" / "axe-core" / "axe.min.js"
OWN = "/api/kitestring/v1"
PUBLIC = "/api/public/v1"


class Running:
    """A server in a process of its own, with a data folder of its own. `call` answers JSON; it fails on a refusal.

    It is forked from one that has imported the server already; where it is `new`, it starts as a user starts it.
    """

    process: subprocess.Popen[bytes] | PreloadedCommand

    def __init__(self, home: Path, *, new: bool = False, **settings: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("KITESTRING_")}
        self.home = home
        self.log = home.parent / f"{home.name}.log"
        environment = {**clean, "KITESTRING_HOME": str(home), **settings}
        with self.log.open("w") as log:
            words = ["up", "--port", "0"]
            if new:
                command = [sys.executable, "-m", "kitestring", *words]
                self.process = subprocess.Popen(command, cwd=home.parent, env=environment, stdout=log, stderr=log)
            else:
                self.process = PreloadedCommand(words, home.parent, environment, log.fileno(), log.fileno())
        while not (match := re.search(r"^Kitestring is up at (\S+)", output := self.log.read_text(), re.MULTILINE)):
            assert self.process.poll() is None, output
            time.sleep(0.05)
        self.url = match[1]
        self.client = httpx.Client(base_url=self.url, timeout=600)
        self.workspace: str = self.call("GET", f"{PUBLIC}/workspaces")["data"][0]["workspaceId"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.client.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def definition(self, kind: str, connector: str) -> str:
        """The id of a connector of ours."""
        definition_id: str = self.call("GET", f"{OWN}/connectors/{kind}/{connector.replace('_', '-')}")["definitionId"]
        return definition_id

    def make(self, kind: str, connector: str, name: str, config: dict[str, Any]) -> str:
        """A source or a destination; its id."""
        body = {
            "name": name,
            "workspaceId": self.workspace,
            "definitionId": self.definition(kind, connector),
            "configuration": config,
        }
        endpoint_id: str = self.call("POST", f"{PUBLIC}/{kind}s", body)[f"{kind}Id"]
        return endpoint_id

    def ended(self, connection_id: str) -> dict[str, Any]:
        """The newest job of a connection, once it has ended."""
        path = f"{OWN}/jobs?connectionId={connection_id}"
        job_id = self.call("GET", path)["data"][0]["jobId"]
        with self.client.stream("GET", f"{OWN}/jobs/{job_id}/events") as events:
            events.read()  # they end with the job
        job: dict[str, Any] = next(job for job in self.call("GET", path)["data"] if job["jobId"] == job_id)
        assert job["status"] not in ("pending", "running"), job
        return job

    def close(self) -> None:
        self.client.close()
        self.process.send_signal(signal.SIGINT)
        self.process.wait()


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """One Chromium for the files of this folder that a process runs.

    Not for the whole run: its event loop would go on in the tests of other folders that the same process runs."""
    if not CHROMIUM:
        pytest.skip("there is no Chromium on the path")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    with playwright.sync_playwright() as playing:
        started = playing.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture(scope="package")
def profile(browser: Any) -> Iterator[Any]:
    """A browser context for all visits: what it has loaded and compiled is kept, and that is half of a visit's work.

    Its users prefer reduced motion: without a GPU, frames of animations cost a third of the time. Its first page stays
    open: the process that draws pages stays too, and need not start and compile again for each test."""
    context = browser.new_context(reduced_motion="reduce")
    context.new_page()
    yield context
    context.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of its own for each file of tests, without users."""
    if not CHROMIUM:
        pytest.skip("there is no Chromium on the path")
    if not (DIST / PAGE).is_file():
        pytest.skip("the web interface is not built (make ui)")
    running = Running(tmp_path_factory.mktemp("server") / "home")
    yield running
    running.close()


@pytest.fixture
def visit(profile: Any, server: Running) -> Iterator[Callable[..., Any]]:
    """Opens a path of the interface as a new visitor: nothing may come from elsewhere, and nothing may go wrong in it.

    A second visit of a test is in the same page."""
    elsewhere: list[str] = []
    errors: list[str] = []

    def heard(message: Any) -> None:
        # What the API refuses is shown on the page; the browser's own line about it is no defect.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            errors.append(message.text)

    page = profile.new_page()
    page.set_default_timeout(120_000)
    page.on(
        "request",
        lambda r: elsewhere.append(r.url) if urlsplit(r.url).hostname not in ("127.0.0.1", None) else None,
    )
    page.on("console", heard)
    page.on("pageerror", lambda error: errors.append(str(error)))

    def open_(path: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> Any:
        forget(page, server.url)
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.goto(f"{server.url}{path}")
        return page

    yield open_
    forget(page, server.url)
    profile.set_offline(False)
    profile.clear_permissions()
    for opened in profile.pages[1:]:
        opened.close()
    assert not elsewhere
    assert not errors


def forget(page: Any, url: str) -> None:
    """Forget who has signed in, and what the interface keeps in the browser."""
    page.context.clear_cookies()
    if page.url.startswith(url):
        page.evaluate("localStorage.clear(); sessionStorage.clear()")


def until(page: Any, expression: str, timeout_s: float = 120) -> None:
    """Wait until an expression is true in the page. (Playwright's own way compiles code, which the CSP forbids.)"""
    deadline = time.monotonic() + timeout_s
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never came true: {expression}"
        page.wait_for_timeout(50)


# A report on a page that changed meanwhile mixes two states of it, or axe fails at an element that is gone: it runs
# again. A page that never rests is judged by the last run.
AXE_RUN = """async options => {
  for (let runs = 1; ; runs += 1) {
    let changed = false
    const changes = new MutationObserver(() => { changed = true })
    changes.observe(document.documentElement, { childList: true, subtree: true })
    try {
      const { violations } = await axe.run(document, options)
      if (!changed || runs === 5) return violations
    } catch (error) {
      if (!changed || runs === 5) throw error
    } finally {
      changes.disconnect()
    }
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}"""


AXE_OPTIONS = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    # To list all elements that pass takes as long as to find those that do not.
    "resultTypes": ["violations"],
    "selectors": False,
}


def accessible(page: Any) -> None:
    """Hold a page against the rules of WCAG 2.2 A and AA that axe-core knows."""
    assert AXE.is_file(), "axe-core is not installed: make ui"
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text("utf-8"))
    # A page that is still fading in has no colours to measure.
    still = "one.playState !== 'running' || one.effect.getComputedTiming().iterations === Infinity"
    until(page, f"document.getAnimations().every(one => {still})")
    violations = page.evaluate(AXE_RUN, AXE_OPTIONS)
    wrong = [
        {
            "rule": violation["id"],
            "help": violation["help"],
            "where": [node["html"][:200] + node["failureSummary"] for node in violation["nodes"][:3]],
        }
        for violation in violations
    ]
    assert not wrong, json.dumps(wrong, indent=1)


def fits(page: Any) -> None:
    """Nothing of the page lies outside of the window's width."""
    until(page, "document.documentElement.scrollWidth <= window.innerWidth")


def picture(page: Any, name: str) -> None:
    """Keep a picture of the whole page, where they are asked for."""
    place = os.environ.get("KITESTRING_SCREENSHOTS")
    if place:
        path = ROOT / place / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = page.viewport_size
        # As high as its content: the menu reaches down to the end.
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": size["width"], "height": max(size["height"], min(height, 4000))})
        page.screenshot(path=path, full_page=True)
        page.set_viewport_size(size)

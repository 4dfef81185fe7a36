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

ROOT = Path(__file__).parents[2]
AXE = ROOT / "kitestring" / "ui" / "node_modules" / "axe-core" / "axe.min.js"
OWN = "/api/kitestring/v1"
PUBLIC = "/api/public/v1"


class Running:
    """A server in a process of its own, with a data folder of its own. `call` answers JSON; it fails on a refusal."""

    def __init__(self, home: Path, **settings: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("KITESTRING_")}
        self.home = home
        self.log = (home.parent / f"{home.name}.log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kitestring", "up", "--port", "0"],
            cwd=home.parent,
            env={**clean, "KITESTRING_HOME": str(home), **settings},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = ""
        assert self.process.stderr is not None
        output = ""
        for line in self.process.stderr:
            output += line
            match = re.match(r"Kitestring is up at (\S+)", line)
            if match:
                self.url = match[1]
                break
        assert self.url, output
        # Read on, or a full pipe would stop the server.
        self.reader = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=self.log)
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

    def close(self) -> None:
        self.client.close()
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        self.reader.wait()
        self.log.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium for each file of tests; each visit has a context of its own.

    Not one for all: its event loop would go on in the tests of other files that the same process runs."""
    if not CHROMIUM:
        pytest.skip("there is no Chromium on the path")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    with playwright.sync_playwright() as playing:
        started = playing.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield started
        started.close()


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
def visit(browser: Any, server: Running) -> Iterator[Callable[..., Any]]:
    """Opens a path of the interface: nothing may come from elsewhere, and nothing may go wrong in it."""
    contexts: list[Any] = []
    elsewhere: list[str] = []
    errors: list[str] = []

    def heard(message: Any) -> None:
        # What the API refuses is shown on the page; the browser's own line about it is no defect.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            errors.append(message.text)

    def open_(path: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on(
            "request",
            lambda r: elsewhere.append(r.url) if urlsplit(r.url).hostname not in ("127.0.0.1", None) else None,
        )
        page.on("console", heard)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{server.url}{path}")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not elsewhere
    assert not errors


def until(page: Any, expression: str, timeout_s: float = 120) -> None:
    """Wait until an expression is true in the page. (Playwright's own way compiles code, which the CSP forbids.)"""
    deadline = time.monotonic() + timeout_s
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never came true: {expression}"
        page.wait_for_timeout(50)


def accessible(page: Any) -> None:
    """Hold a page against the rules of WCAG 2.2 A and AA that axe-core knows."""
    assert AXE.is_file(), "axe-core is not installed: make ui"
    page.evaluate(AXE.read_text("utf-8"))
    # A page that is still fading in has no colours to measure.
    still = "one.playState !== 'running' || one.effect.getComputedTiming().iterations === Infinity"
    until(page, f"document.getAnimations().every(one => {still})")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    report = page.evaluate("tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", tags)
    wrong = [
        {
            "rule": violation["id"],
            "help": violation["help"],
            "where": [node["html"][:200] + node["failureSummary"] for node in violation["nodes"][:3]],
        }
        for violation in report["violations"]
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
        page.screenshot(path=path, full_page=True)

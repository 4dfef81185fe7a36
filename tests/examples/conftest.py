"""A small synced help desk for the tests of the examples."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import kitestring as ks
from kitestring.testing.help_desk import HelpDesk
from kitestring.testing.memory import MemorySource
from kitestring.testing.zendesk import ZendeskStandIn

FORM = Path(__file__).parents[2] / "examples" / "support_form"
TICKETS = 60


@pytest.fixture(scope="session", autouse=True)
def the_forms_modules() -> Iterator[None]:
    """`streamlit run` puts the folder of the page on the path; so does this."""
    sys.path.insert(0, str(FORM))
    yield
    sys.path.remove(str(FORM))


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a (shorter) `kitestring demo` has run: its collection lies in `.kitestring/demo`."""
    folder = tmp_path_factory.mktemp("demo")
    desk = HelpDesk(tickets=TICKETS)
    # A ticket with a subject that is Markdown and HTML at once.
    desk.add_ticket(
        "[Click](javascript:alert(1)) <b>now</b> *please*",
        "The coffee machine of our office leaks and the kitchen floor is under water.",
        organization_id=3011,
    )
    fill({"host": str(folder / ".kitestring" / "demo" / "help_desk.db"), "collection": "help_desk"}, desk)
    return folder


@pytest.fixture(scope="session")
def filled() -> Callable[[dict[str, Any], HelpDesk], None]:
    return fill


def fill(indexing: dict[str, Any], desk: HelpDesk) -> None:
    """Sync the tickets and a third of the articles of a help desk."""
    fields = ["id", "subject", "title", "status", "organization_id", "html_url"]
    source = MemorySource(
        records={"tickets": desk.live_tickets(), "articles": list(desk.articles.values())[:20]},
        primary_keys={"tickets": "id", "articles": "id"},
    )
    destination = ks.destination(
        "milvus",
        {
            "processing": {
                "chunk_size": 200,
                "text_fields": ["subject", "description", "title", "body"],
                "metadata_fields": fields,
            },
            "embedding": {"mode": "local"},
            "indexing": indexing,
        },
    )
    result = ks.sync(source, destination, state=False)
    assert result.ok, result.as_dict()


@pytest.fixture
def zendesk() -> Iterator[ZendeskStandIn]:
    with ZendeskStandIn(desk=HelpDesk(tickets=TICKETS)) as stand_in:
        yield stand_in

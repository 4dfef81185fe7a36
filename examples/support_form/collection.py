"""Questions to the synced collection: which open tickets are like this text, and which articles may answer it."""

from __future__ import annotations

import logging
import queue
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from settings import Settings

import kitestring as ks
from kitestring.errors import Cancelled, ConfigError, TransientError
from kitestring.library import DestinationHandle

log = logging.getLogger("support_form")
T = TypeVar("T")

MOST_TICKETS, MOST_ARTICLES = 3, 5
CANDIDATES = 20
"""How many articles are looked at: some have no address that a visitor can open."""
SNIPPET = 220
"""Characters."""
LISTED = re.compile(r"\s*([-*#>|]|\d+[.)])")


@dataclass(frozen=True)
class Ticket:
    """An open ticket that resembles the text. `distance`: 0 is the same text."""

    number: str
    subject: str
    status: str
    updated: str
    distance: float


@dataclass(frozen=True)
class Article:
    """An article of the knowledge base that may answer the text."""

    title: str
    url: str
    snippet: str
    distance: float


class TooSlow(TransientError):
    """No answer in the time that a visitor waits."""


class Collection:
    """The Milvus collection that holds the streams `tickets` and `articles`. Can be shared by threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._destination = ks.destination("milvus", settings.destination())
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Open the collection and load the model while the visitor still types. Errors show when they matter."""

        def ask() -> None:
            try:
                self._near("hello", stream="tickets")
            except Exception as error:  # noqa: BLE001 - nobody asked yet
                log.info("not ready: %s", self.settings.masked(str(error)))

        threading.Thread(target=ask, name="warm", daemon=True).start()

    def similar_tickets(self, text: str, organization_id: int) -> list[Ticket]:
        """The open tickets of this organization that are about the same thing, nearest first."""
        hits = self._near(
            text,
            stream="tickets",
            where={"status": list(self.settings.ticket_statuses)},
            permission={"organization_id": organization_id},  # no filter takes it away
            threshold=self.settings.ticket_threshold,
            limit=MOST_TICKETS,
        )
        return [
            Ticket(
                number=number_of(hit),
                subject=str(hit.get("subject") or first_line(hit)),
                status=str(hit.get("status") or ""),
                updated=str(hit.get("updated_at") or "")[:10],
                distance=hit["distance"],
            )
            for hit in hits
        ]

    def articles(self, text: str) -> list[Article]:
        """The articles that are about the same thing, nearest first."""
        hits = self._near(text, stream="articles", threshold=self.settings.article_threshold, limit=CANDIDATES)
        articles = [
            Article(
                title=str(hit.get("title") or first_line(hit)),
                url=str(hit.get("html_url") or ""),
                snippet=snippet(hit),
                distance=hit["distance"],
            )
            for hit in hits
            if str(hit.get("html_url") or "").startswith(("https://", "http://"))
        ]
        return articles[:MOST_ARTICLES]

    def _near(self, text: str, **options: Any) -> list[dict[str, Any]]:
        """The fields of the records that resemble a text, each record once, by its nearest chunk."""
        self._check_folder()

        destination = self._destination

        def ask() -> list[dict[str, Any]]:
            return [record.fields for record in ks.similar(destination, text, **options)]

        try:
            return within(self.settings.search_timeout_s, ask)
        except (TooSlow, Cancelled):
            self._give_up(destination)
            raise TooSlow(
                f"the search got no answer within {self.settings.search_timeout_s:g} s",
                hint="Look whether the embedder and the collection are up.",
            ) from None

    def _give_up(self, destination: DestinationHandle) -> None:
        """Cancel what still waits and retries; the next search begins with a new connection."""
        with self._lock:
            if self._destination is not destination:
                return
            self._destination = ks.destination("milvus", self.settings.destination())
        threading.Thread(target=destination.close, name="close", daemon=True).start()

    def _check_folder(self) -> None:
        """Milvus Lite would make a folder that is not there, and find nothing in it."""
        url = self.settings.milvus_url
        if "://" not in url and not Path(url).expanduser().exists():
            raise ConfigError(
                f"there is no collection at {url}",
                hint="Run `kitestring demo` in this folder first, or set MILVUS_URL.",
            )


def within(seconds: float, ask: Callable[[], T]) -> T:
    """The answer, or `TooSlow` after this time: a sync may wait out an outage, a visitor may not."""
    answers: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((ask(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised below, in the thread that waits for it
            answers.put((None, error))

    threading.Thread(target=run, name="search", daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TooSlow(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]


def number_of(hit: Mapping[str, Any]) -> str:
    """The ticket's number. Its field `id` gives way to the collection's primary key and is stored as `_id`; a
    collection that another program filled may only have the record id (`tickets_35`) or the address of the ticket."""
    if hit.get("_id") is not None:
        return str(hit["_id"])
    named = re.search(r"_(\d+)$", str(hit.get("record_id") or "")) or re.search(r"/tickets/(\d+)", str(hit.get("url")))
    return named[1] if named else str(hit["id"])


def first_line(hit: Mapping[str, Any]) -> str:
    return next((line.strip()[:120] for line in str(hit.get("text") or "").splitlines() if line.strip()), "Untitled")


def snippet(hit: Mapping[str, Any]) -> str:
    """The beginning of the chunk that matched: its sentences, without the title above it, headings and lists."""
    text = str(hit.get("text") or "").strip().removeprefix(str(hit.get("title") or ""))
    sentences = [
        line for line in text.split("\n") if line.rstrip().endswith((".", "!", "?")) and not LISTED.match(line)
    ]
    words = " ".join(" ".join(sentences or [text]).split())
    return words if len(words) <= SNIPPET else words[:SNIPPET].rsplit(" ", 1)[0] + " …"

"""A request from the form to the ticket: checked, compared with the open ones, sent."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import uuid
from dataclasses import dataclass, field

from collection import Article, Collection, Ticket
from helpdesk import LONGEST_TEXT, HelpDesk
from settings import Settings

from kitestring.errors import KitestringError

log = logging.getLogger("support_form")

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass(frozen=True)
class Draft:
    """The visitor's input."""

    name: str
    email: str
    subject: str
    description: str
    organization_id: int | None = None

    @property
    def text(self) -> str:
        """The text to compare: put together as Kitestring puts together a ticket's subject and description."""
        return f"{self.subject}\n\n{self.description}"

    def problems(self) -> list[str]:
        """The missing and invalid fields, one sentence each."""
        fields = {
            "your name": self.name,
            "your email": self.email,
            "a subject": self.subject,
            "a description": self.description,
        }
        problems = [f"Please enter {label}." for label, value in fields.items() if not value]
        if self.email and not EMAIL.fullmatch(self.email):
            problems.append("This email address is not complete. It looks like name@example.com.")
        if len(self.description) > LONGEST_TEXT:
            problems.append(
                f"The description has {len(self.description):,} characters, the help desk takes {LONGEST_TEXT:,}."
                " Please shorten it; log files are better sent as an answer to the confirmation."
            )
        return problems

    def key(self, visit: str) -> str:
        """The same for the same request of the same visit."""
        parts = (visit, self.name, self.email, self.subject, self.description, str(self.organization_id))
        return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True)
class Incomplete:
    """Not sent: the visitor has to add something."""

    problems: list[str]


@dataclass(frozen=True)
class Similar:
    """Not sent: there are open tickets about the same thing."""

    tickets: list[Ticket]


@dataclass(frozen=True)
class Unchecked:
    """Not sent: it could not be compared with the open tickets."""

    reason: str
    hint: str = ""


@dataclass(frozen=True)
class Refused:
    """Not sent: the help desk did not take it."""

    reason: str
    hint: str = ""
    wait_s: float | None = None


@dataclass(frozen=True)
class Sent:
    """Sent. `trouble`: why articles could not be looked up."""

    number: int
    draft: Draft
    articles: list[Article] = field(default_factory=list)
    trouble: str = ""


Outcome = Incomplete | Similar | Unchecked | Refused | Sent


class Visit:
    """The state of a visitor's page from one run of its script to the next, and how a request is sent once.

    A click while the script runs begins another run at once, beside the old one, and the old one ends where it next
    touches the page or the session's state: what it was about to note there is lost
    (docs.streamlit.io/develop/api-reference/configuration/config.toml, `runner.fastReruns`). So the outcome is noted in
    this object, which Streamlit does not watch, and the second of two clicks waits for the first and finds it.
    """

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self.name = self.email = ""
        """The author of the sent request, filled in for the next."""
        self._key = uuid.uuid4().hex
        self._sending = threading.Lock()

    def send(self, draft: Draft, collection: Collection, helpdesk: HelpDesk, *, compare: bool = True) -> None:
        """`submit` the request, unless it is sent already."""
        with self._sending:
            if isinstance(self.outcome, Sent):
                return
            outcome = submit(draft, collection, helpdesk, visit=self._key, compare=compare)
            if isinstance(outcome, Sent):
                self.name, self.email = draft.name, draft.email
            self.outcome = outcome

    def begin_again(self) -> None:
        """The same text is another request from now on."""
        self.outcome, self._key = None, uuid.uuid4().hex


def submit(draft: Draft, collection: Collection, helpdesk: HelpDesk, *, visit: str, compare: bool = True) -> Outcome:
    """Send the request, unless it lacks something or (with `compare`) an open ticket of the organization is like it."""
    problems = draft.problems()
    if problems:
        return Incomplete(problems)
    if compare and draft.organization_id is not None:
        try:
            similar = collection.similar_tickets(draft.text, draft.organization_id)
        except Exception as error:  # noqa: BLE001 - whatever happens, the visitor keeps the text
            return Unchecked(*error_texts(error, collection.settings))
        if similar:
            return Similar(similar)
    try:
        number = helpdesk.create(draft, draft.key(visit))
    except Exception as error:  # noqa: BLE001 - as above
        return Refused(*error_texts(error, collection.settings), getattr(error, "retry_after_s", None))
    try:
        return Sent(number, draft, collection.articles(draft.text))
    except Exception as error:  # noqa: BLE001 - the ticket is there, and nothing may look as if it were not
        return Sent(number, draft, trouble=error_texts(error, collection.settings)[0])


def error_texts(error: Exception, settings: Settings) -> tuple[str, str]:
    """An error as a sentence and a next action, without secrets. What nobody foresaw goes to the log."""
    if isinstance(error, KitestringError):
        log.warning("%s", settings.masked(error.message), extra={"kind": type(error).__name__})
        return settings.masked(error.message), settings.masked(error.hint)
    log.error("unforeseen: %s", settings.masked(f"{type(error).__name__}: {error}"))
    return "something went wrong that nobody foresaw", "The log of the form says more."

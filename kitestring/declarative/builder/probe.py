"""Probes of a real API: a stream is read a few pages far, and the raw answers are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kitestring import json_codec
from kitestring.config import secrets_in
from kitestring.declarative.builder.preview import open_source
from kitestring.declarative.page import Page
from kitestring.declarative.partition_router import RoutingContext
from kitestring.declarative.source import DeclarativeSource
from kitestring.errors import Cancelled, KitestringError
from kitestring.http import Auth, Request, Response
from kitestring.redact import Redactor

LARGEST_ANSWER = 20 * 1024 * 1024
"""Bytes of an answer that are read as JSON."""
MOST_REQUESTS = 60
MOST_RECORDS = 2000


@dataclass(slots=True)
class ProbedPage:
    """An answer: the request's address, status, headers, JSON (None where it is none) and the records of it."""

    url: str
    status: int
    headers: Mapping[str, str]
    answer: Any
    records: list[Any] = field(default_factory=list)
    slice: int = 0


@dataclass(slots=True)
class ProbedRead:
    """The pages of a short read, and the error that ended it."""

    pages: list[ProbedPage] = field(default_factory=list)
    error: str = ""

    @property
    def records(self) -> list[Any]:
        return [record for page in self.pages for record in page.records]


class EnoughError(KitestringError):
    """The pages that were wanted have come. Used only inside a probe."""


class BudgetSpentError(KitestringError):
    """The requests of all probes together are used up."""


class Prober:
    """Reads variants of a stream within one budget of requests."""

    def __init__(
        self,
        config: Mapping[str, Any],
        stream: str,
        built: Callable[[DeclarativeSource], None] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        most: int = MOST_REQUESTS,
        secrets: Iterable[str] = (),
    ) -> None:
        """`most`: requests of all reads together. `secrets` are masked, whatever the manifest says of them."""
        self.most = most
        self.config, self.stream, self.requests = config, stream, 0
        self._built, self._cancelled = built, cancelled
        self.mask = Redactor(secrets)

    def read(self, manifest: Mapping[str, Any], *, pages: int = 1, slices: int = 1) -> ProbedRead:
        """Read so many pages of so many slices. Errors of the API are in the result; `BudgetSpentError` where no
        requests are left; `ConfigError` for a manifest that cannot be built."""
        if self.requests >= self.most:
            raise BudgetSpentError(f"{self.most} requests were made")
        if self._cancelled():
            raise Cancelled("the proposals were stopped")
        source = open_source(manifest, self.config)
        if self._built is not None:
            self._built(source)
        self.mask.hide(secrets_in(self.config, source.form))
        result = ProbedRead()
        try:
            component = source.component(self.stream)
            watch = Watch(self, result, component, pages)
            source.connection.observe = watch.observe
            with source.connection.short_waits():
                try:
                    self._read(component, result, watch, slices)
                except KitestringError as error:
                    if isinstance(error, BudgetSpentError | Cancelled):
                        raise
                    self.mask.hide(source.connection.secrets)
                    result.error = self.mask.text(error.message)
        finally:
            source.close()
        return result

    def _read(self, component: Any, result: ProbedRead, watch: Watch, slices: int) -> None:
        for number, task in enumerate(component.tasks({}, RoutingContext())):
            if number == slices:
                return
            watch.begin(number)
            items = component.read(task)
            try:
                for item in items:
                    if isinstance(item, Page) and result.pages:
                        page = result.pages[-1]
                        page.records.extend(item.records[: max(0, MOST_RECORDS - len(page.records))])
                        if watch.complete and not component.retriever.requester.cached:
                            break
            except EnoughError:
                pass
            finally:
                items.close()
                watch.end()


class Watch:
    """Keeps the answers of the stream's own requests, and ends a slice when enough pages have come."""

    def __init__(self, prober: Prober, result: ProbedRead, component: Any, pages: int) -> None:
        self._prober, self._result, self._most = prober, result, pages
        self._requester = getattr(getattr(component, "retriever", None), "requester", None)
        self._reading, self._pages, self._slice = False, 0, 0

    @property
    def complete(self) -> bool:
        """Whether the last page of the slice has come."""
        return self._pages >= self._most

    def begin(self, number: int) -> None:
        self._reading, self._pages, self._slice = True, 0, number

    def end(self) -> None:
        self._reading = False

    def observe(
        self, request: Request, response: Response | None, error: KitestringError | None, auth: Auth | None
    ) -> None:
        self._prober.requests += 1
        main = self._reading and (self._requester is None or auth is self._requester.auth)
        if main and self.complete:
            raise EnoughError("enough pages")
        if main and response is not None and error is None:
            if response.status < 400:
                self._pages += 1
            page = ProbedPage(request.target(), response.status, dict(response.headers), answer_of(response))
            page.slice = self._slice
            self._result.pages.append(page)
        if self._prober.requests >= self._prober.most and not (main and self.complete):
            raise BudgetSpentError(f"{self._prober.most} requests were made")


def answer_of(response: Response) -> Any:
    """The JSON of an answer; None for a stream, for what is no JSON, and for what is too large."""
    if response._body is None or len(response.body) > LARGEST_ANSWER:
        return None
    try:
        return json_codec.loads(response.body)
    except json_codec.JsonError:
        return None


def digest(record: Any) -> bytes:
    """A value that is equal for equal records."""
    return json_codec.dumps(record, sort_keys=True, levels=json_codec.ANY_DEPTH)


def other_records(first: list[Any], second: list[Any]) -> bool:
    """Whether the second page has records, and none of the first page's."""
    before = {digest(record) for record in first}
    return bool(second) and not any(digest(record) in before for record in second)

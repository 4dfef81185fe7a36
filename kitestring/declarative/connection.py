"""The HTTP side of one source: sessions, cached responses of parent streams, the `base_url` override."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kitestring.errors import Cancelled

if TYPE_CHECKING:
    from kitestring.http import Budget, Response, Session
    from kitestring.http.session import Observe

CACHE_BYTES = 48 * 1024 * 1024
LARGEST_CACHED_BYTES = 8 * 1024 * 1024
SYNC_WAIT_S = 7200.0
RENEWAL_WAIT_S = 60.0
"""How long `close` waits for a running renewal of credentials."""
CHECK_WAIT_S = 15.0
"""How long a check waits in total for an API that is down or busy: a user is waiting for it."""


class CachedResponse:
    """A cached response. Its JSON is parsed on each use, because transformations change records in place."""

    __slots__ = ("body", "elapsed_s", "headers", "method", "status", "url")

    def __init__(self, response: Response) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.url = response.url
        self.method = response.method
        self.body = response.body
        self.elapsed_s = response.elapsed_s

    @property
    def request_line(self) -> str:
        """Method and address for a message, without the query."""
        return f"{self.method} {self.url.partition('?')[0]}"

    def json(self) -> Any:
        from kitestring.http.message import page_of

        return page_of(self.body, self.headers, f"{self.request_line} answered {self.status}", self.status)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def chunks(self, size: int = 65536) -> Iterable[bytes]:
        for start in range(0, len(self.body), size):
            yield self.body[start : start + size]


class Clock:
    """Measures how far the API's clock is ahead of ours, from the `Date` header."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self._measured = False

    def observe_date(self, response: Any) -> None:
        """A cached response has an old date, so the latest clock counts."""
        text = response.headers.get("date")
        if not text:
            return
        try:
            ahead = parsedate_to_datetime(text) - datetime.now(UTC)
        except (ValueError, TypeError, OverflowError):
            return
        # The header has whole seconds, and a response takes time to arrive.
        ahead = timedelta() if SAME_CLOCK[0] <= ahead <= SAME_CLOCK[1] else ahead
        if not self._measured or ahead > self.ahead:
            self.ahead, self._measured = ahead, True


SAME_CLOCK = timedelta(seconds=-3), timedelta(seconds=1)


class Connection:
    """Sessions by timeout (most sources need one), and cached responses, dropped when the last reader leaves."""

    def __init__(self, *, base_url: str = "", secrets: Iterable[str] = ()) -> None:
        self.base_url = base_url.rstrip("/")
        self.budgets: tuple[Budget, ...] = ()
        self.observe: Observe | None = None
        self._secrets = [s for s in secrets if s]
        self._sessions: dict[tuple[float, float, bool], Session] = {}
        self._renewing: Session | None = None
        self._renewals = 0
        self._renewed = threading.Condition()
        self._cache: OrderedDict[Any, CachedResponse] = OrderedDict()
        self._cache_bytes = 0
        self._readers = 0
        self.clock = Clock()
        self._hurried = False
        self._lock = threading.Lock()
        self._closing = threading.Event()

    @contextmanager
    def renewal(self) -> Iterator[None]:
        """`close` waits for this context: a refresh that is cut off loses the new credentials."""
        with self._renewed:
            self._renewals += 1
        try:
            yield
        finally:
            with self._renewed:
                self._renewals -= 1
                self._renewed.notify_all()

    def renewal_session(self) -> Session:
        """The session of token requests. Closing ends their waits, never a request that was sent."""
        from kitestring.http import Session

        with self._lock:
            if self._renewing is None:
                self._renewing = Session(
                    headers={"Accept": "*/*"},
                    budgets=self.budgets,
                    secrets=self._secrets,
                    observe=self.observe,
                    max_wait_s=CHECK_WAIT_S if self._hurried else SYNC_WAIT_S,
                )
            return self._renewing

    def session(self, connect_s: float | None = None, read_s: float | None = None, keep_alive: bool = False) -> Session:
        from kitestring.http import Session

        key = (connect_s or 10.0, read_s or 60.0, keep_alive)
        with self._lock:
            session = self._sessions.get(key)
            if session is None:
                session = self._sessions[key] = Session(
                    headers={"Accept": "*/*"},
                    connect_timeout_s=key[0],
                    timeout_s=key[1],
                    keep_alive=keep_alive,
                    budgets=self.budgets,
                    secrets=self._secrets,
                    observe=self.observe,
                    max_wait_s=CHECK_WAIT_S if self._hurried else SYNC_WAIT_S,
                )
            return session

    @contextmanager
    def short_waits(self) -> Iterator[None]:
        """In this context calls give up soon instead of waiting for hours."""
        self._hurried = True
        self.close()
        try:
            with self:
                yield
        finally:
            self._hurried = False
            self.close()

    @property
    def secrets(self) -> list[str]:
        """The secrets to mask: those of the configuration, and the tokens obtained with them."""
        with self._lock:
            return list(self._secrets)

    def hide(self, *secrets: str) -> None:
        """Mask these in logs and errors from now on."""
        with self._lock:
            self._secrets.extend(secrets)
            sessions = [*self._sessions.values(), *([self._renewing] if self._renewing else [])]
        for session in sessions:
            session.hide(*secrets)

    def mask(self, text: str) -> str:
        """A text with its secrets masked."""
        from kitestring.redact import Redactor

        return Redactor(self.secrets).text(text)

    def rebase_url(self, url: str, home: str) -> str:
        """`url` moved to the configured `base_url`, if it has the host of `home`."""
        if not self.base_url or not home:
            return url
        parts = urlsplit(url)
        if parts.netloc != urlsplit(home).netloc:
            return url
        return self.base_url + url[len(parts.scheme) + 3 + len(parts.netloc) :]

    def rename_host(self, text: str, home: str) -> str:
        """A text of the manifest with the API's host replaced by that of `base_url`."""
        parts = urlsplit(home)
        if not self.base_url or not parts.netloc:
            return text
        text = text.replace(f"{parts.scheme}://{parts.netloc}", self.base_url)
        return text.replace(parts.netloc, urlsplit(self.base_url).netloc)

    def cached(self, key: Any) -> CachedResponse | None:
        with self._lock:
            response = self._cache.get(key)
            if response is not None:
                self._cache.move_to_end(key)
            return response

    def cache(self, key: Any, response: Response) -> CachedResponse:
        cached = CachedResponse(response)
        size = len(cached.body)
        if size <= LARGEST_CACHED_BYTES:
            with self._lock:
                before = self._cache.pop(key, None)
                self._cache_bytes += size - (len(before.body) if before is not None else 0)
                self._cache[key] = cached
                while self._cache_bytes > CACHE_BYTES:
                    _, old = self._cache.popitem(last=False)
                    self._cache_bytes -= len(old.body)
        return cached

    def __enter__(self) -> Connection:
        with self._lock:
            self._readers += 1
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._readers -= 1
            if not self._readers:
                self._cache.clear()
                self._cache_bytes = 0

    def pause(self, seconds: float) -> None:
        """Wait. `close` ends the wait with `Cancelled`."""
        if seconds > 0 and self._closing.wait(seconds):
            raise Cancelled("the source was closed while it waited")

    def close(self) -> None:
        """End the running calls, except a renewal. `session` opens a new one afterwards."""
        with self._lock:
            sessions, renewing = list(self._sessions.values()), self._renewing
            self._sessions.clear()
            self._renewing = None
            self._closing.set()
            self._closing = threading.Event()
        for session in sessions:
            session.close()
        if renewing is not None:
            renewing.finish()
            with self._renewed:
                self._renewed.wait_for(lambda: not self._renewals, RENEWAL_WAIT_S)
            renewing.close()

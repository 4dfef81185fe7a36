"""The session: every HTTP call of a source, a destination or an embedder goes through one."""

from __future__ import annotations

import logging
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import urllib3
from urllib3 import exceptions as broken

from kitestring import __version__
from kitestring.backoff import backoff_s
from kitestring.current_stream import STREAM
from kitestring.errors import Cancelled, ConfigError, ConnectorError, KitestringError, TransientError
from kitestring.http.auth import Auth
from kitestring.http.connection_pools import ConnectionPools
from kitestring.http.message import (
    FIRST_BYTES,
    Request,
    Response,
    UnreadableError,
    origin,
    read_body,
    undecodable_error,
)
from kitestring.http.rate_limit import Budget
from kitestring.http.retry import Policy, Raise, Retries, Return
from kitestring.http.tls import Tls
from kitestring.http.transport_error import transport_error
from kitestring.redact import Redactor, is_credential

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

log = logging.getLogger("kitestring.http")
# At DEBUG urllib3 logs whole addresses, with credentials in their queries; our own line masks them.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
logging.getLogger("urllib3.util.retry").setLevel(logging.INFO)

REDIRECTS = 10
Observe = Callable[[Request, Response | None, KitestringError | None, Auth | None], None]
"""Called for every attempt: the request, the response or the error, and the credentials. With an error the response is
one whose body could not be read: its first bytes."""
REREAD_S = 0.5
"""The pause before the one retry after a page that arrived whole and could not be read."""
QUIET_S = 10.0
"""A call that waits or retries for longer than this is logged as a warning …"""
WARN_EVERY_S = 60.0
"""… and again at this interval."""


class Session:
    """Pooled connections with retries, rate limits and budgets; safe to share between threads.

    `base_url` precedes relative addresses. `headers` go with every call. `timeout_s` limits each read from
    the socket, `max_wait_s` the sum of the pauses of one call. `proxy` is an address; None takes the environment's
    (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), "" goes without. `secrets` appear in no log and no error.
    `observe` sees every attempt, unmasked. `keep_alive` has the system probe idle connections, to notice one that
    a firewall dropped silently.
    """

    def __init__(
        self,
        *,
        base_url: str = "",
        headers: Mapping[str, str] | None = None,
        auth: Auth | None = None,
        policy: Policy | None = None,
        budgets: Sequence[Budget] = (),
        timeout_s: float = 60.0,
        connect_timeout_s: float = 10.0,
        max_wait_s: float = 7200.0,
        proxy: str | None = None,
        tls: Tls | None = None,
        secrets: Iterable[str] = (),
        user_agent: str = f"kitestring/{__version__}",
        pool_size: int = 32,
        observe: Observe | None = None,
        keep_alive: bool = False,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.headers = {"User-Agent": user_agent, "Accept-Encoding": "gzip, deflate", **(headers or {})}
        self.auth = auth
        self.policy: Policy = policy or Retries()
        self.budgets = tuple(budgets)
        self.max_wait_s = max_wait_s
        self._timeout = urllib3.Timeout(connect=connect_timeout_s, read=timeout_s)
        self._observe = observe
        self._redactor = Redactor(secrets)
        self._closed = threading.Event()
        self._pools = ConnectionPools(proxy, tls or Tls(), pool_size, keep_alive, self.hide)
        self._warned_at: dict[str, float] = {}
        self._hide_secrets_of(auth)

    def get(self, url: str, params: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """The decoded JSON of a GET; a response that is no JSON is requested once more."""
        return self.request("GET", url, params=params, verify=Response.json, **options).json()

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        stream: bool = False,
        policy: Policy | None = None,
        auth: Auth | None = None,
        verify: Callable[[Response], object] | None = None,
    ) -> Response:
        """Make a call, with the policy's retries, and return the response it accepts.

        `verify` checks an accepted response while the call can still be repeated: its `TransientError` counts as a
        failed attempt, its `UnreadableError` repeats the call once. Raises the policy's error, or `Cancelled`
        once the session is closed.
        """
        policy = policy or self.policy
        if auth is None:
            auth = self.auth
        else:
            self._hide_secrets_of(auth)
        url = self._absolute(url)
        attempt, waited_s, refreshed, reread = 1, 0.0, False, False
        began = time.monotonic()
        observe = observer_of(auth)
        while True:
            request = Request(
                method,
                url,
                dict(params) if params else {},
                {**self.headers, **headers} if headers else self.headers.copy(),
                json,
                dict(form) if form is not None else None,
                body,
            )
            response: Response | None = None
            error: KitestringError | None = None
            if auth is not None:
                auth.apply(request)
            try:
                response = self._observed(request, stream, attempt, auth)
            except (TransientError, ConfigError) as failure:
                error = failure
            except UnreadableError as failure:
                if reread:
                    raise self._redactor.error(failure) from failure.__cause__
                reread = True
                self._wait(REREAD_S, failure.message, request, began, retry=True)
                continue
            elsewhere = response is not None and observe is not None and observe(request, response)
            if response is not None and response.status == 401 and auth is not None and not refreshed:
                refreshed = True
                if auth.refresh(response):
                    self._hide_secrets_of(auth)
                    continue
            verdict = policy.judge(attempt, response, error)
            if isinstance(verdict, Return) and response is not None:
                if verify is None:
                    return response
                try:
                    verify(response)
                    return response
                except TransientError as failure:
                    error = failure
                    verdict = policy.judge(attempt, None, failure)
                except UnreadableError as failure:
                    if reread:
                        raise self._redactor.error(failure) from failure.__cause__
                    reread = True
                    self._wait(REREAD_S, failure.message, request, began, retry=True)
                    continue
                except KitestringError as failure:
                    raise self._redactor.error(failure) from failure.__cause__
            if response is not None and stream:
                response.close()
            if isinstance(verdict, Raise):
                raise self._redactor.error(verdict.error) from error
            if isinstance(verdict, Return):
                raise self._redactor.error(error or TransientError(f"{method} {url.partition('?')[0]} gave no answer"))
            if verdict.renews and not refreshed and response is not None and auth is not None:
                refreshed = True
                if auth.refresh(response):
                    self._hide_secrets_of(auth)
                    continue
            pause_s = backoff_s(attempt) if verdict.after_s is None else max(0.0, verdict.after_s)
            if elsewhere:
                pause_s = 0.0
            waited_s += pause_s
            if waited_s > self.max_wait_s:
                raise self._redactor.error(
                    error
                    or TransientError(
                        f"{method} {url.partition('?')[0]} would wait {waited_s:.0f} s in all ({verdict.reason}), "
                        f"the limit is {self.max_wait_s:.0f} s",
                        hint="Try again later.",
                        retry_after_s=pause_s,
                    )
                ) from error
            self._wait(pause_s, verdict.reason, request, began, retry=verdict.after_s is None)
            if verdict.counts:
                attempt += 1

    def hide(self, *secrets: str) -> None:
        """Mask these strings in logs and errors from now on."""
        self._redactor.hide(secrets)

    def close(self) -> None:
        """Close all connections and wake every wait, also for a response; calls now and later raise `Cancelled`."""
        self._closed.set()
        self._pools.close()

    def finish(self) -> None:
        """Wake every wait and begin no more calls; those in progress get their response."""
        self._closed.set()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _absolute(self, url: str) -> str:
        if url.startswith(("http://", "https://")):
            return url
        if "://" in url or not self.base_url:
            raise ConfigError(f"{url!r} is not an http address", hint="Give an address that begins with https://.")
        return f"{self.base_url}/{url.lstrip('/')}" if url else self.base_url

    def _hide_secrets_of(self, auth: Auth | None) -> None:
        secrets = getattr(auth, "secrets", None)
        if secrets:
            self._redactor.hide(secrets)

    def _observed(self, request: Request, stream: bool, attempt: int, auth: Auth | None) -> Response:
        """An attempt, reported to `observe`."""
        if self._observe is None:
            return self._attempt(request, stream, attempt)
        broken_answers: list[Response] = []
        try:
            response = self._attempt(request, stream, attempt, broken_answers)
        except KitestringError as error:
            self._observe(request, broken_answers[0] if broken_answers else None, error, auth)
            raise
        self._observe(request, response, None, auth)
        return response

    def _attempt(
        self, request: Request, stream: bool, attempt: int, broken_answers: list[Response] | None = None
    ) -> Response:
        """One exchange, redirects followed. `broken_answers` gets an answer that could not be read, with its first
        bytes."""
        governing = [budget for budget in self.budgets if budget.matches is None or budget.matches(request)]
        for budget in governing:
            weight = budget.weigh(request) if budget.weigh is not None else 1
            pause_s = budget.reserve(origin(request.url).partition("://")[2], weight)
            if pause_s > 0:
                limit = f"the limit of {budget.calls} calls per {budget.per_s:g} s is reached"
                self._wait(pause_s, limit, request, time.monotonic(), planned=True)
        if self._closed.is_set():
            raise self._cancelled(request)
        method, target, content, headers = request.method, request.target(), request.content(), request.headers
        began = time.perf_counter()
        for _ in range(REDIRECTS + 1):
            answer: BaseHTTPResponse | None = None
            chunks: list[bytes] | None = None if broken_answers is None else []
            try:
                pool, address = self._pools.pool(target)
                raw = pool.urlopen(
                    method,
                    address,
                    body=content,
                    headers=headers,
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    timeout=self._timeout,
                )
                answer = raw
                # Any other body is read, so that it can be judged and the connection used again.
                read = not (stream and raw.status < 300)
                content_of = read_body(raw, f"{method} {target.partition('?')[0]}", chunks) if read else None
            except ConnectorError as failure:
                note_broken_answer(method, target, answer, began, chunks, broken_answers)
                raise self._redactor.error(failure) from None
            except broken.DecodeError as failure:
                note_broken_answer(method, target, answer, began, chunks, broken_answers)
                raise undecodable_error(f"{method} {target.partition('?')[0]}", raw.headers) from failure
            except (broken.HTTPError, OSError) as failure:
                if self._closed.is_set():
                    raise self._cancelled(request) from failure
                self._log_failure(request, target, attempt, failure, began)
                note_broken_answer(method, target, answer, began, chunks, broken_answers)
                raise transport_error(request.method, target, failure, self._timeout) from failure
            place = raw.headers.get("location")
            if raw.status not in (301, 302, 303, 307, 308) or not place:
                break
            source, target = target, urljoin(target, place)
            if not target.startswith(("http://", "https://")):
                raise ConfigError(f"{method} {source.partition('?')[0]} redirects to {place.partition(':')[0]}:")
            if raw.status == 303 or (raw.status in (301, 302) and method == "POST"):
                method, content = "GET", None
                headers = {k: v for k, v in headers.items() if not k.lower().startswith("content-")}
            if origin(target) != origin(source):
                headers = {k: v for k, v in headers.items() if not is_credential(k)}
        else:
            raise ConfigError(
                f"{request.method} {request.url.partition('?')[0]} redirects more than {REDIRECTS} times",
                hint="Check the address.",
            )
        elapsed_s = time.perf_counter() - began
        if log.isEnabledFor(logging.DEBUG):
            log.debug(
                "%s %s: %d",
                request.method,
                self._redactor.url(target),
                raw.status,
                extra={
                    "method": request.method,
                    "url": self._redactor.url(target),
                    "status": raw.status,
                    "ms": round(elapsed_s * 1000, 1),
                    "attempt": attempt,
                    "headers": self._redactor.headers(request.headers),
                },
            )
        response = Response(request.method, target, raw, elapsed_s, content_of)
        for budget in governing:
            budget.update(response)
        return response

    def _wait(
        self, seconds: float, reason: str, request: Request, began: float, retry: bool = False, planned: bool = False
    ) -> None:
        """Pause, unless the session is closed. `began`: the start of the call, in monotonic seconds; `retry`: after a
        failure, and nobody asked for the pause; `planned`: by the source's own limit, which is no reason to warn."""
        if seconds > 0:
            reason, now, stream = self._redactor.text(reason), time.monotonic(), STREAM.get()
            place = f"{request.method} {self._redactor.text(request.url.partition('?')[0])}"
            facts: dict[str, Any] = {"seconds": round(seconds, 3), "reason": reason, "retry": retry}
            if stream:
                facts["stream"] = stream
            overdue = not planned and now + seconds - began > QUIET_S
            if overdue and now - self._warned_at.get(stream, -WARN_EVERY_S) > WARN_EVERY_S:
                self._warned_at[stream] = now
                since, at = time.time() - (now - began), time.time() + seconds
                log.warning(
                    "%s%s waits since %s: %s; the next try is at %s",
                    f"stream {stream}: " if stream else "",
                    place,
                    time.strftime("%H:%M:%S", time.localtime(since)),
                    reason,
                    time.strftime("%H:%M:%S", time.localtime(at)),
                    extra=facts,
                )
            else:
                log.info("waiting %.1f s before %s: %s", seconds, place, reason, extra=facts)
        if self._closed.wait(seconds):
            raise self._cancelled(request)

    def _cancelled(self, request: Request) -> Cancelled:
        return Cancelled(
            f"{request.method} {self._redactor.text(request.url.partition('?')[0])}: the session was closed"
        )

    def _log_failure(self, request: Request, target: str, attempt: int, error: Exception, began: float) -> None:
        log.debug(
            "%s %s: %s",
            request.method,
            self._redactor.url(target),
            type(error).__name__,
            extra={
                "method": request.method,
                "url": self._redactor.url(target),
                "error": self._redactor.text(str(error)),
                "ms": round((time.perf_counter() - began) * 1000, 1),
                "attempt": attempt,
            },
        )


def note_broken_answer(
    method: str,
    url: str,
    raw: BaseHTTPResponse | None,
    began: float,
    chunks: list[bytes] | None,
    answers: list[Response] | None,
) -> None:
    """Keep status, headers and first bytes of an answer whose body could not be read."""
    if raw is not None and chunks is not None and answers is not None:
        answers.append(Response(method, url, raw, time.perf_counter() - began, b"".join(chunks[:1])[:FIRST_BYTES]))


def observer_of(auth: Auth | None) -> Callable[[Request, Response], bool] | None:
    """The method of these credentials that gets every response. `learn` is its old name, taken until 0.2."""
    observe: Callable[[Request, Response], bool] | None = getattr(auth, "observe", None)
    if observe is None:
        observe = getattr(auth, "learn", None)
        if observe is not None:
            message = f"{type(auth).__name__}.learn is `observe` now; the old name goes in 0.2.0"
            warnings.warn(message, DeprecationWarning, stacklevel=3)
    return observe

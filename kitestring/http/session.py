"""The session: every HTTP call of a source, a destination or an embedder goes through one."""

from __future__ import annotations

import logging
import threading
import time
import urllib.request
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3 import exceptions as broken

from kitestring import __version__
from kitestring.backoff import backoff_s
from kitestring.current_stream import STREAM
from kitestring.errors import Cancelled, ConfigError, ConnectorError, KitestringError, TransientError
from kitestring.http.auth import Auth
from kitestring.http.message import Request, Response, UnreadableError, read_body, undecodable_error
from kitestring.http.open_connections import Connections, hang_up, keep_alive_options, track_connections
from kitestring.http.rate_limit import Budget
from kitestring.http.retry import Policy, Raise, Retries, Return
from kitestring.http.tls import Tls
from kitestring.redact import Redactor, is_credential

log = logging.getLogger("kitestring.http")
# At DEBUG urllib3 logs whole addresses, with credentials in their queries; our own line masks them.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
logging.getLogger("urllib3.util.retry").setLevel(logging.INFO)

REDIRECTS = 10
Observe = Callable[[Request, Response | None, KitestringError | None, Auth | None], None]
"""Called for every attempt: the request, the response or the error, and the credentials."""
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
        self._proxy = proxy
        self._tls = tls or Tls()
        self._timeout = urllib3.Timeout(connect=connect_timeout_s, read=timeout_s)
        self._pool_size = pool_size
        self._observe = observe
        self._keep_alive = keep_alive
        self._redactor = Redactor(secrets)
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._managers: dict[tuple[str, bool], urllib3.PoolManager] = {}
        self._pools: dict[str, Any] = {}
        self._connections: Connections = weakref.WeakSet()
        self._warned_at: dict[str, float] = {}
        if proxy:
            self.hide(urlsplit(proxy).password or "")
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
                self._wait(REREAD_S, failure.message, request, began)
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
                    self._wait(REREAD_S, failure.message, request, began)
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
            self._wait(pause_s, verdict.reason, request, began)
            if verdict.counts:
                attempt += 1

    def hide(self, *secrets: str) -> None:
        """Mask these strings in logs and errors from now on."""
        self._redactor.hide(secrets)

    def close(self) -> None:
        """Close all connections and wake every wait, also for a response; calls now and later raise `Cancelled`."""
        self._closed.set()
        hang_up(self._connections)
        with self._lock:
            for manager in self._managers.values():
                manager.clear()

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
            raise ConfigError(f"{url!r} is no http address", hint="Give an address that begins with https://.")
        return f"{self.base_url}/{url.lstrip('/')}" if url else self.base_url

    def _hide_secrets_of(self, auth: Auth | None) -> None:
        secrets = getattr(auth, "secrets", None)
        if secrets:
            self._redactor.hide(secrets)

    def _observed(self, request: Request, stream: bool, attempt: int, auth: Auth | None) -> Response:
        """An attempt, reported to `observe`."""
        if self._observe is None:
            return self._attempt(request, stream, attempt)
        try:
            response = self._attempt(request, stream, attempt)
        except KitestringError as error:
            self._observe(request, None, error, auth)
            raise
        self._observe(request, response, None, auth)
        return response

    def _attempt(self, request: Request, stream: bool, attempt: int) -> Response:
        """One exchange, redirects followed."""
        governing = [budget for budget in self.budgets if budget.matches is None or budget.matches(request)]
        for budget in governing:
            weight = budget.weigh(request) if budget.weigh is not None else 1
            pause_s = budget.reserve(origin(request.url).partition("://")[2], weight)
            if pause_s > 0:
                allowed = f"budget of {budget.calls} calls per {budget.per_s:g} s"
                self._wait(pause_s, allowed, request, time.monotonic())
        if self._closed.is_set():
            raise self._cancelled(request)
        method, target, content, headers = request.method, request.target(), request.content(), request.headers
        began = time.perf_counter()
        for _ in range(REDIRECTS + 1):
            try:
                pool, address = self._pool(target)
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
                # Any other body is read, so that it can be judged and the connection used again.
                read = not (stream and raw.status < 300)
                content_of = read_body(raw, f"{method} {target.partition('?')[0]}") if read else None
            except ConnectorError as failure:
                raise self._redactor.error(failure) from None
            except broken.DecodeError as failure:
                raise undecodable_error(f"{method} {target.partition('?')[0]}", raw.headers) from failure
            except (broken.HTTPError, OSError) as failure:
                if self._closed.is_set():
                    raise self._cancelled(request) from failure
                self._log_failure(request, target, attempt, failure, began)
                raise self._translated(request.method, target, failure) from failure
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

    def _wait(self, seconds: float, reason: str, request: Request, began: float) -> None:
        """Pause, unless the session is closed. `began`: the start of the call, in monotonic seconds."""
        if seconds > 0:
            reason, now, stream = self._redactor.text(reason), time.monotonic(), STREAM.get()
            place = f"{request.method} {self._redactor.text(request.url.partition('?')[0])}"
            facts: dict[str, Any] = {"seconds": round(seconds, 3), "reason": reason}
            if stream:
                facts["stream"] = stream
            if now + seconds - began > QUIET_S and now - self._warned_at.get(stream, -WARN_EVERY_S) > WARN_EVERY_S:
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

    def _pool(self, url: str) -> tuple[Any, str]:
        """The pool or manager that opens this address, and the address to give it.

        A direct connection uses its origin's pool and a path: a pool manager would parse and join each address.
        """
        place = origin(url)
        pool = self._pools.get(place)
        if pool is None:
            proxy = self._proxy_for(place)
            secure = place.startswith("https:") or proxy.startswith("https:")
            with self._lock:
                manager = self._managers.get((proxy, secure))
                if manager is None:
                    manager = self._managers[proxy, secure] = self._build(proxy, secure)
                pool = self._pools[place] = manager if proxy else manager.connection_from_url(place)
        if isinstance(pool, urllib3.PoolManager):
            return pool, url
        return pool, url[len(place) :].partition("#")[0] or "/"

    def _proxy_for(self, place: str) -> str:
        if self._proxy is not None:
            return self._proxy
        proxies = urllib.request.getproxies_environment()
        proxy = proxies.get(place.partition(":")[0]) or proxies.get("all") or ""
        bypass = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
        return "" if proxy and bypass(place.partition("://")[2], proxies) else proxy

    def _build(self, proxy: str, secure: bool) -> urllib3.PoolManager:
        options: dict[str, Any] = {"num_pools": 4096, "maxsize": self._pool_size, "block": False}
        if self._keep_alive:
            options["socket_options"] = keep_alive_options()
        if secure:
            options["ssl_context"] = self._tls.context()
            if not self._tls.verify:
                options.update(cert_reqs="CERT_NONE", assert_hostname=False)
                urllib3.disable_warnings(broken.InsecureRequestWarning)
                log.warning("certificates are not verified: tls.verify is false")
        if not proxy:
            return track_connections(urllib3.PoolManager(**options), self._connections)
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        if parts.scheme.startswith("socks"):
            try:
                from urllib3.contrib.socks import SOCKSProxyManager
            except ImportError as error:
                raise ConfigError(
                    "a SOCKS proxy needs the package PySocks, which is not installed", hint="pip install PySocks"
                ) from error
            return SOCKSProxyManager(parts.geturl(), **options)
        place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        proxy_headers = None
        if parts.username:
            from urllib.parse import unquote

            self.hide(unquote(parts.password or ""))
            proxy_headers = urllib3.make_headers(
                proxy_basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            )
        try:
            return track_connections(
                urllib3.ProxyManager(place, proxy_headers=proxy_headers, **options), self._connections
            )
        except (ValueError, broken.HTTPError) as error:
            raise ConfigError(f"the proxy address {place} cannot be used: {error}") from error

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

    def _translated(self, method: str, url: str, error: Exception) -> KitestringError:
        """Translate urllib3's exception into an error of ours."""
        request_line = f"{method} {url.partition('?')[0]}"
        host = origin(url).partition("://")[2].rpartition("@")[2]
        cause: BaseException = error
        while cause.__cause__ is not None or isinstance(getattr(cause, "original_error", None), BaseException):
            cause = cause.__cause__ or cause.original_error  # type: ignore[attr-defined]
        if isinstance(error, broken.LocationParseError | broken.LocationValueError):
            return ConfigError(f"{url.partition('?')[0]!r} is no usable address", hint="Check the address.")
        if "CERTIFICATE_VERIFY_FAILED" in str(error) or (isinstance(error, broken.SSLError) and "match" in str(error)):
            return ConfigError(
                f"{host} shows a certificate that is not trusted: {getattr(cause, 'verify_message', '') or cause}",
                hint="Give the authority's certificate (ca_file), or check that the address is the right one.",
                host=host,
            )
        if isinstance(error, broken.ProxyError):
            return TransientError(
                f"{request_line}: the proxy does not let us through: {cause}", hint="Check the proxy.", host=host
            )
        if isinstance(error, broken.NameResolutionError):
            return TransientError(f"the host {host} is not known", hint="Check the address and the network.", host=host)
        if isinstance(error, broken.NewConnectionError):
            return TransientError(
                f"{host} refuses the connection: {cause}", hint="Check the address and port.", host=host
            )
        if isinstance(error, broken.ConnectTimeoutError):
            seconds = self._timeout.connect_timeout
            return TransientError(
                f"{host} does not accept a connection within {seconds:g} s",
                hint="Check the address and the network.",
                host=host,
            )
        if isinstance(error, broken.ReadTimeoutError | TimeoutError):
            return TransientError(
                f"{request_line} did not answer within {self._timeout.read_timeout:g} s", hint="Try again later."
            )
        return TransientError(
            f"{request_line} broke off: {cause or type(cause).__name__}", hint="Try again later.", host=host
        )


def origin(url: str) -> str:
    """`https://host:port` of an absolute address."""
    end = url.find("/", url.find("://") + 3)
    return (url if end < 0 else url[:end]).partition("?")[0]


def observer_of(auth: Auth | None) -> Callable[[Request, Response], bool] | None:
    """The method of these credentials that gets every response. `learn` is its old name, taken until 0.2."""
    observe: Callable[[Request, Response], bool] | None = getattr(auth, "observe", None)
    if observe is None:
        observe = getattr(auth, "learn", None)
        if observe is not None:
            message = f"{type(auth).__name__}.learn is `observe` now; the old name goes in 0.2.0"
            warnings.warn(message, DeprecationWarning, stacklevel=3)
    return observe

"""The connection pools of a session: one per origin, direct or through a proxy."""

from __future__ import annotations

import logging
import threading
import urllib.request
import weakref
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3 import exceptions as broken

from kitestring.errors import ConfigError
from kitestring.http.message import origin
from kitestring.http.open_connections import Connections, hang_up, keep_alive_options, track_connections
from kitestring.http.tls import Tls

log = logging.getLogger("kitestring.http")


class ConnectionPools:
    """Opens a pool per origin at first use; safe to share between threads.

    `proxy`: an address; None takes the environment's, "" goes without. `size`: the connections that a pool keeps.
    `hide` gets the password of the proxy.
    """

    def __init__(self, proxy: str | None, tls: Tls, size: int, keep_alive: bool, hide: Callable[[str], None]) -> None:
        self._proxy = proxy
        self._tls = tls
        self._size = size
        self._keep_alive = keep_alive
        self._hide = hide
        self._lock = threading.Lock()
        self._managers: dict[tuple[str, bool], urllib3.PoolManager] = {}
        self._pools: dict[str, Any] = {}
        self._connections: Connections = weakref.WeakSet()
        if proxy:
            hide(urlsplit(proxy).password or "")

    def pool(self, url: str) -> tuple[Any, str]:
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
        options: dict[str, Any] = {"num_pools": 4096, "maxsize": self._size, "block": False}
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
            self._hide(unquote(parts.password or ""))
            proxy_headers = urllib3.make_headers(
                proxy_basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            )
        try:
            return track_connections(
                urllib3.ProxyManager(place, proxy_headers=proxy_headers, **options), self._connections
            )
        except (ValueError, broken.HTTPError) as error:
            raise ConfigError(f"the proxy address {place} cannot be used: {error}") from error

    def close(self) -> None:
        """Close all connections; a thread that waits in one gets an error at once."""
        hang_up(self._connections)
        with self._lock:
            for manager in self._managers.values():
                manager.clear()

"""The child's side of rate limits that all jobs share: it leases tokens from the parent (`jobs/rate_limits.py`)."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kitestring.config import secrets_in

if TYPE_CHECKING:
    from kitestring.server.child.protocol import ParentChannel

MOST_S = 1.0
"""How long leased tokens are valid; never longer than a twentieth of the window, which `rate_limits.py` relies on."""


class TokenLease:
    """Leased tokens by key. Threads are served in the order of their calls.

    Tokens that are not used while the lease is valid are dropped: they were counted for that moment, not for a later
    one. The size of a lease doubles while each is used up; a slow reader falls back to one token.
    """

    def __init__(
        self, take: Callable[[str, float], float], key_of: Callable[[str], str], calls: float, per_s: float
    ) -> None:
        self._take = take
        self._key_of = key_of
        self._most = max(1.0, calls / 20)
        self._valid_s = min(MOST_S, per_s / 20)
        self._lock = threading.Lock()
        self._leases: dict[str, list[float]] = {}  # by key: remaining tokens, start, size of the last lease

    def reserve(self, amount: float = 1.0, host: str = "") -> float:
        """Take `amount` tokens; returns the seconds to wait before using them."""
        key = self._key_of(host)
        with self._lock:
            now = time.monotonic()
            tokens, start, size = self._leases.get(key, (0.0, 0.0, 0.5))
            if tokens > 0 and now > start + self._valid_s:
                tokens, size = 0.0, 0.5
            if tokens < amount:
                size = min(size * 2, self._most)
                granted = max(size, amount)
                start = now + self._take(key, granted)
                tokens = granted
            self._leases[key] = [tokens - amount, start, size]
            return max(0.0, start - now)


def shared_limits(
    up: ParentChannel, connector: str, config: Mapping[str, Any], spec: Mapping[str, Any]
) -> Callable[[str, float, float], TokenLease]:
    """The shared rate limits of a connector, for `kitestring.http.Share`.

    An account is identified by the host if that is the customer's own (`example.zendesk.com`), else by the credentials.
    """
    account = hashlib.sha256("\n".join(sorted(secrets_in(config, spec))).encode()).hexdigest()[:12]
    texts_in_config = {text.lower() for text in texts(config) if len(text) > 2}

    def share(name: str, calls: float, per_s: float) -> TokenLease:
        def key_of(host: str) -> str:
            if not host:
                return name
            own = any(text in host.lower() or host.lower() in text for text in texts_in_config)
            return f"{connector}:{host}{'' if own else ':' + account}:{name}"[:200]

        def take(key: str, amount: float) -> float:
            return float(up.request_answer("quota", key=key, calls=calls, per_s=per_s, amount=amount)["wait_s"])

        return TokenLease(take, key_of, calls, per_s)

    return share


def texts(node: Any) -> Iterator[str]:
    """All texts in a configuration."""
    if isinstance(node, str):
        yield node
    inner: Iterable[Any] = node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
    for item in inner:
        yield from texts(item)

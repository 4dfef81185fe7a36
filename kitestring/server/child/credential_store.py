"""The child's side of credential renewal: the parent saves the credentials and grants the renewal lease."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kitestring.credentials import LONGEST_WAIT_S
from kitestring.errors import Cancelled, TransientError

if TYPE_CHECKING:
    from kitestring.server.child.call import ActionCall

POLL_S = 0.2
EXTEND_EVERY_S = 15.0
"""How often the lease of a renewal is extended: a fraction of it (`config_updates.py`)."""


class ActorCredentials:
    """A `CredentialStore` for the source or destination that this process runs.

    `keep` saves a whole new configuration; `opened` looks up the references in one that the parent sends.
    """

    def __init__(
        self,
        call: ActionCall,
        end: str,
        keep: Callable[[Mapping[str, Any]], None],
        opened: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    ) -> None:
        self._call, self._end, self._keep, self._opened = call, end, keep, opened

    def keep(self, key: str, changed: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        self._keep(config)

    @contextlib.contextmanager
    def renewing(self, key: str) -> Iterator[Mapping[str, Any] | None]:
        holder = secrets.token_hex(16)
        config = self._wait_for_grant(holder)
        over = threading.Event()
        going_on = threading.Thread(target=self._extend, args=(holder, over), daemon=True)
        going_on.start()
        try:
            yield None if config is None else self._opened(config)
        finally:
            over.set()
            going_on.join()  # an extension must not arrive after the release
            self._request_renewal(holder, over=True)

    def _request_renewal(self, holder: str, over: bool = False) -> dict[str, Any]:
        return self._call.parent.request_answer("renewal", end=self._end, holder=holder, over=over)

    def _wait_for_grant(self, holder: str) -> Mapping[str, Any] | None:
        """Wait for the renewal lease; returns the configuration that is stored then."""
        waited_until = time.monotonic() + LONGEST_WAIT_S
        while not (answer := self._request_renewal(holder))["granted"]:
            if self._call.cancel.is_set():
                raise Cancelled("cancelled while another process renewed the credentials")
            if time.monotonic() > waited_until:
                raise TransientError(
                    f"another job has been renewing the credentials of this {self._end} for {LONGEST_WAIT_S:.0f} s",
                    hint="Look at its other jobs.",
                )
            time.sleep(POLL_S)
        config: Mapping[str, Any] | None = answer["config"]
        return config

    def _extend(self, holder: str, over: threading.Event) -> None:
        while not over.wait(EXTEND_EVERY_S):
            self._request_renewal(holder)

"""An OAuth client of Zendesk: it gets a token by itself, and a new one when that has expired."""

from __future__ import annotations

import threading
import time

from kitestring.errors import AuthError
from kitestring.http import Request, Response, Retries, Session

EARLY_S = 30.0
"""A token is renewed so long before it expires: a call that is under way needs it until its end."""


class OAuthClient:
    """The client credentials grant (developer.zendesk.com/api-reference/ticketing/oauth/grant_type_tokens).

    Zendesk's tokens hold for 30 minutes unless the client says otherwise; with `expires_in: null`, until it ends them.
    """

    def __init__(self, url: str, client_id: str, client_secret: str, scope: str) -> None:
        self.secrets: tuple[str, ...] = (client_secret,)
        self._asked = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            "scope": scope,
        }
        self._session = Session(
            base_url=url,
            policy=Retries(attempts=3, longest_wait_s=5.0),
            max_wait_s=10.0,
            connect_timeout_s=5.0,
            timeout_s=15.0,
        )
        self._session.hide(client_secret)
        self._token, self._until = "", 0.0
        self._lock = threading.Lock()

    def apply(self, request: Request) -> None:
        with self._lock:
            if time.monotonic() >= self._until:
                self._renew()
            request.headers["Authorization"] = f"Bearer {self._token}"

    def refresh(self, response: Response) -> bool:
        """Zendesk has ended the token before its time."""
        with self._lock:
            self._renew()
        return True

    def _renew(self) -> None:
        answer = self._session.request("POST", "/oauth/tokens", json=self._asked).json()
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not token:
            raise AuthError("the help desk gave no token", hint="Check ZENDESK_CLIENT_ID and ZENDESK_CLIENT_SECRET.")
        seconds = answer.get("expires_in")
        self._token = str(token)
        self._until = float("inf") if seconds is None else time.monotonic() + max(float(seconds) - EARLY_S, 0.0)
        self.secrets = (self._asked["client_secret"], self._token)

"""Credentials of a request: the protocol, and the two forms that nearly every API takes."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kitestring.http.message import Request, Response


class Auth(Protocol):
    """Puts credentials on every attempt. Strings in an attribute `secrets` are masked in logs and errors.

    An optional method `observe(request, response) -> bool` gets every response; True means that other credentials
    will be used from now on, so that the next attempt need not wait.
    """

    def apply(self, request: Request) -> None:
        """Change headers, query or body of the attempt."""

    def refresh(self, response: Response) -> bool:
        """After a 401: get new credentials; True where another attempt makes sense."""


class Bearer:
    """`Authorization: Bearer <token>` (RFC 6750); GitHub also takes it for personal access tokens."""

    def __init__(self, token: str) -> None:
        self.secrets = (token,)
        self._header = f"Bearer {token}"

    def apply(self, request: Request) -> None:
        request.headers["Authorization"] = self._header

    def refresh(self, response: Response) -> bool:
        return False


class Basic:
    """`Authorization: Basic` (RFC 7617)."""

    def __init__(self, user: str, password: str) -> None:
        token = b64encode(f"{user}:{password}".encode()).decode()
        self.secrets = (password, token)
        self._header = f"Basic {token}"

    def apply(self, request: Request) -> None:
        request.headers["Authorization"] = self._header

    def refresh(self, response: Response) -> bool:
        return False

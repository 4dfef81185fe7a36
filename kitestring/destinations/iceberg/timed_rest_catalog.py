"""A REST catalog of pyiceberg that gives up on a server that does not answer."""

from __future__ import annotations

from typing import Any

from pyiceberg.catalog.rest import RestCatalog
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 15, 120


class TimedAdapter(HTTPAdapter):
    """Sends requests with a time limit, where pyiceberg gives none."""

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        if options.get("timeout") is None:
            options["timeout"] = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        return super().send(request, *args, **options)


class TimedRestCatalog(RestCatalog):
    """All its requests have time limits, the one for a token too."""

    def _create_session(self) -> Session:
        return timed(super()._create_session())

    def _create_legacy_oauth2_auth_manager(self, session: Session) -> Any:
        return super()._create_legacy_oauth2_auth_manager(timed(session))


def timed(session: Session) -> Session:
    for scheme in ("https://", "http://"):
        session.mount(scheme, TimedAdapter())
    return session

"""The help desk that takes the request: Zendesk's API, or the made-up one of the demo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from oauth_client import OAuthClient
from settings import Settings

from kitestring.errors import ConfigError, ConnectorError
from kitestring.http import Auth, Basic, Bearer, Retries, Session

if TYPE_CHECKING:
    from request import Draft

DEMO_CLIENT = ("larkspur", "larkspur-secret")
"""The token that the stand-in accepts (kitestring.testing.zendesk)."""
LONGEST_TEXT = 65_535
"""Characters of a description that the form sends; Zendesk keeps no longer comments."""


@dataclass(frozen=True)
class Organization:
    """A customer of the help desk."""

    id: int
    name: str


class HelpDesk:
    """Zendesk's ticketing API. `KitestringError` from every method when it does not do what was asked."""

    def __init__(self, settings: Settings) -> None:
        self.url = settings.zendesk_base_url
        if not self.url:
            self.url = demo_help_desk().url
        self._session = Session(
            base_url=self.url,
            auth=credentials(settings, self.url),
            # Somebody waits: two more attempts, and no pause of more than a few seconds.
            policy=Retries(attempts=3, longest_wait_s=5.0),
            max_wait_s=10.0,
            connect_timeout_s=5.0,
            timeout_s=15.0,
        )

    def organizations(self) -> list[Organization]:
        """The customers by name, at most 100."""
        rows = self._session.get("/api/v2/organizations.json", {"per_page": 100})["organizations"]
        return sorted(
            (Organization(row["id"], row["name"]) for row in rows),
            key=lambda organization: organization.name.casefold(),
        )

    def create(self, draft: Draft, key: str) -> int:
        """Create the ticket and return its number.

        The same `key` gives the same ticket: Zendesk remembers it for two hours, so that an attempt whose answer was
        lost can be repeated (developer.zendesk.com/api-reference/ticketing/introduction/#idempotency).
        """
        ticket: dict[str, Any] = {
            "subject": draft.subject,
            "comment": {"body": draft.description},
            "requester": {"name": draft.name, "email": draft.email},
            "tags": ["support_form"],
        }
        if draft.organization_id is not None:
            ticket["organization_id"] = draft.organization_id
        response = self._session.request(
            "POST", "/api/v2/tickets.json", json={"ticket": ticket}, headers={"Idempotency-Key": key}
        )
        try:
            return int(response.json()["ticket"]["id"])
        except (KeyError, TypeError, ValueError) as error:
            raise ConnectorError("the help desk accepted the request but returned no number") from error

    def link(self, url: str) -> str:
        """Where an article can be read: as it is, and for the made-up help desk where that runs."""
        parts = urlsplit(url)
        fictional = (parts.hostname or "").endswith(".zendesk.example")
        return self.url + parts.path if fictional else url


def credentials(settings: Settings, url: str) -> Auth:
    """How the form signs in: with an OAuth client, an OAuth token, or an API token while Zendesk takes them."""
    client, secret = settings.zendesk_client_id, settings.zendesk_client_secret
    if settings.zendesk_oauth_token:
        return Bearer(settings.zendesk_oauth_token)
    if settings.zendesk_api_token and not client:
        return Basic(f"{settings.zendesk_email}/token", settings.zendesk_api_token)
    if settings.demo and not client:
        client, secret = DEMO_CLIENT
    if not client:
        raise ConfigError(
            "there are no credentials for Zendesk", hint="Set ZENDESK_CLIENT_ID and ZENDESK_CLIENT_SECRET."
        )
    return OAuthClient(url, client, secret, settings.zendesk_scope)


def demo_help_desk() -> Any:
    """The stand-in, running in this process: what is sent to it is gone when the form ends."""
    from kitestring.testing.zendesk import ZendeskStandIn

    return ZendeskStandIn().start()

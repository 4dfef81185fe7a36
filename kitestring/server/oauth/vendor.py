"""How each vendor's OAuth works, as far as its public documentation says: addresses, scopes, where the tokens go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kitestring.errors import ConfigError


@dataclass(frozen=True)
class Vendor:
    """The authorization code flow (RFC 6749, 4.1) of one source.

    `{subdomain}` in an address is filled in from the configuration, where `inputs` says what it may look like: the
    client's secret is sent there, so that it can be no other host than the vendor's. `tokens` says which field of the
    vendor's answer becomes which option; `constants` are the options that choose the OAuth branch of the form.
    """

    connector: str
    authorize_url: str
    token_url: str
    tokens: Mapping[str, str]
    constants: Mapping[str, str] = field(default_factory=dict)
    client_options: tuple[str, str] | None = ("credentials.client_id", "credentials.client_secret")
    """The options that hold client id and secret; None where the source does without them."""
    scopes: tuple[str, ...] = ()
    separator: str = " "
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Options that have to be known before: name → pattern."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """More parameters of the authorization address."""
    sent_as: Literal["form", "json"] = "form"
    client_in: Literal["body", "header"] = "body"
    pkce: bool = False
    signed: bool = False
    """The callback's query is signed with the client's secret (Shopify)."""

    def address(self, template: str, config: Mapping[str, Any]) -> str:
        """An address with the options filled in. `ConfigError` where one is missing or looks like another host's."""
        given: dict[str, str] = {}
        for name, pattern in self.inputs.items():
            value = str(config.get(name) or "").strip()
            if not re.fullmatch(pattern, value):
                raise ConfigError(
                    f"a consent for {self.connector} needs {name}, and {value or 'none'} is not one",
                    hint=f"Give {name} in the configuration: the name alone, without https:// and domain.",
                )
            given[name] = value
        return template.format(**given)


NAME = r"[A-Za-z0-9][A-Za-z0-9-]{0,62}"

VENDORS: Mapping[str, Vendor] = {
    one.connector: one
    for one in (
        # https://support.zendesk.com/hc/en-us/articles/4408845965210
        Vendor(
            "zendesk_support",
            "https://{subdomain}.zendesk.com/oauth/authorizations/new",
            "https://{subdomain}.zendesk.com/oauth/tokens",
            {"access_token": "credentials.access_token"},
            {"credentials.credentials": "oauth2.0"},
            scopes=("read",),
            inputs={"subdomain": NAME},
            sent_as="json",
            pkce=True,
        ),
        # https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
        Vendor(
            "github",
            "https://github.com/login/oauth/authorize",
            "https://github.com/login/oauth/access_token",
            {"access_token": "credentials.access_token"},
            {"credentials.option_title": "OAuth Credentials"},
            scopes=("repo", "read:org", "read:user", "read:project", "read:discussion"),
            pkce=True,
        ),
        # https://developers.hubspot.com/docs/api/working-with-oauth
        Vendor(
            "hubspot",
            "https://app.hubspot.com/oauth/authorize",
            "https://api.hubapi.com/oauth/v1/token",
            {"refresh_token": "credentials.refresh_token"},
            {"credentials.credentials_title": "OAuth Credentials"},
            scopes=(
                "oauth",
                "crm.objects.companies.read",
                "crm.objects.contacts.read",
                "crm.objects.deals.read",
                "crm.objects.owners.read",
                "tickets",
            ),
        ),
        # https://api.slack.com/authentication/oauth-v2
        Vendor(
            "slack",
            "https://slack.com/oauth/v2/authorize",
            "https://slack.com/api/oauth.v2.access",
            {"access_token": "credentials.access_token"},
            {"credentials.option_title": "Default OAuth2.0 authorization"},
            scopes=(
                "channels:history",
                "channels:join",
                "channels:read",
                "groups:history",
                "groups:read",
                "users:read",
            ),
            separator=",",
        ),
        # https://developers.notion.com/docs/authorization
        Vendor(
            "notion",
            "https://api.notion.com/v1/oauth/authorize",
            "https://api.notion.com/v1/oauth/token",
            {"access_token": "credentials.access_token"},
            {"credentials.auth_type": "OAuth2.0"},
            extra={"owner": "user"},
            sent_as="json",
            client_in="header",
        ),
        # https://docs.gitlab.com/api/oauth2/
        Vendor(
            "gitlab",
            "https://gitlab.com/oauth/authorize",
            "https://gitlab.com/oauth/token",
            {"access_token": "credentials.access_token", "refresh_token": "credentials.refresh_token"},
            {"credentials.auth_type": "oauth2.0"},
            scopes=("read_api",),
            pkce=True,
        ),
        # https://developers.asana.com/docs/oauth
        Vendor(
            "asana",
            "https://app.asana.com/-/oauth_authorize",
            "https://app.asana.com/-/oauth_token",
            {"refresh_token": "credentials.refresh_token"},
            {"credentials.option_title": "OAuth Credentials"},
            pkce=True,
        ),
        # https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/authorization-code-grant
        Vendor(
            "shopify",
            "https://{shop}.myshopify.com/admin/oauth/authorize",
            "https://{shop}.myshopify.com/admin/oauth/access_token",
            {"access_token": "credentials.access_token"},
            {"credentials.auth_method": "oauth2.0"},
            scopes=("read_customers", "read_inventory", "read_locations", "read_orders", "read_products"),
            separator=",",
            inputs={"shop": NAME},
            signed=True,
        ),
        # https://developers.intercom.com/docs/build-an-integration/learn-more/authentication/setting-up-oauth
        Vendor(
            "intercom",
            "https://app.intercom.com/oauth",
            "https://api.intercom.io/auth/eagle/token",
            {"token": "access_token"},
            client_options=None,
        ),
    )
}
"""By connector. Airtable, Jira, Confluence and Linear have OAuth too, and our sources take no OAuth token of theirs."""

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
    vendor's answer becomes which option, `renewed` the same of fields that not every application of the vendor gets;
    `constants` are the options that choose the OAuth branch of the form.
    """

    connector: str
    authorize_url: str
    token_url: str
    tokens: Mapping[str, str]
    constants: Mapping[str, str] = field(default_factory=dict)
    renewed: Mapping[str, str] = field(default_factory=dict)
    expiry: str = ""
    """The option for the moment at which the access token ends, where the answer has `expires_in`."""
    client_options: tuple[str, str] | None = ("credentials.client_id", "credentials.client_secret")
    """The options that hold client id and secret; None where the source does without them."""
    scopes: tuple[str, ...] = ()
    optional_scopes: tuple[str, ...] = ()
    """Granted where the account has the product (HubSpot)."""
    separator: str = " "
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Options that have to be known before: name → pattern."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """More parameters of the authorization address."""
    asked: Mapping[str, str] = field(default_factory=dict)
    """More fields of the token request."""
    sites_url: str = ""
    """Where an access token lists the sites that it opens (Atlassian): `[{id, url}]`. The one that the option `site`
    names gives `cloud_id`."""
    site: str = ""
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
PAIR = {"refresh_token": "credentials.refresh_token"}
EXPIRY = "credentials.token_expiry_date"
ATLASSIAN: Mapping[str, Any] = {
    # https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/
    "authorize_url": "https://auth.atlassian.com/authorize",
    "token_url": "https://auth.atlassian.com/oauth/token",
    "tokens": {"access_token": "credentials.access_token", **PAIR},
    "expiry": EXPIRY,
    "constants": {"credentials.auth_type": "oauth2.0"},
    "extra": {"audience": "api.atlassian.com", "prompt": "consent"},
    "sent_as": "json",
    "sites_url": "https://api.atlassian.com/oauth/token/accessible-resources",
}

VENDORS: Mapping[str, Vendor] = {
    one.connector: one
    for one in (
        # https://support.zendesk.com/hc/en-us/articles/4408845965210, developer.zendesk.com …/oauth/grant_type_tokens
        Vendor(
            "zendesk_support",
            "https://{subdomain}.zendesk.com/oauth/authorizations/new",
            "https://{subdomain}.zendesk.com/oauth/tokens",
            {"access_token": "credentials.access_token"},
            {"credentials.credentials": "oauth2.0"},
            renewed=PAIR,
            expiry=EXPIRY,
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
            renewed=PAIR,
            expiry=EXPIRY,
            scopes=("repo", "read:org", "read:user", "read:project", "read:discussion"),
            pkce=True,
        ),
        # https://developers.hubspot.com/docs/api-reference/latest/authentication/manage-oauth-tokens
        Vendor(
            "hubspot",
            "https://app.hubspot.com/oauth/authorize",
            "https://api.hubapi.com/oauth/2026-03/token",
            PAIR,
            {"credentials.credentials_title": "OAuth Credentials"},
            renewed={"access_token": "credentials.access_token"},
            expiry=EXPIRY,
            scopes=(
                "oauth",
                "crm.objects.companies.read",
                "crm.objects.contacts.read",
                "crm.objects.deals.read",
                "crm.objects.owners.read",
                "tickets",
            ),
            optional_scopes=(
                "automation",
                "content",
                "conversations.read",
                "crm.lists.read",
                "crm.objects.custom.read",
                "crm.objects.feedback_submissions.read",
                "crm.objects.goals.read",
                "crm.objects.leads.read",
                "crm.objects.line_items.read",
                "crm.objects.products.read",
                "crm.schemas.custom.read",
                "e-commerce",
                "forms",
                "marketing-email",
                "marketing.campaigns.read",
                "sales-email-read",
            ),
        ),
        # https://docs.slack.dev/authentication/installing-with-oauth, …/using-token-rotation
        Vendor(
            "slack",
            "https://slack.com/oauth/v2/authorize",
            "https://slack.com/api/oauth.v2.access",
            {"access_token": "credentials.access_token"},
            {"credentials.option_title": "Default OAuth2.0 authorization"},
            renewed=PAIR,
            expiry=EXPIRY,
            scopes=(
                "channels:history",
                "channels:join",
                "channels:read",
                "groups:history",
                "groups:read",
                "usergroups:read",
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
            renewed=PAIR,
            extra={"owner": "user"},
            sent_as="json",
            client_in="header",
        ),
        # https://docs.gitlab.com/api/oauth2/
        Vendor(
            "gitlab",
            "https://gitlab.com/oauth/authorize",
            "https://gitlab.com/oauth/token",
            {"access_token": "credentials.access_token", **PAIR},
            {"credentials.auth_type": "oauth2.0"},
            expiry=EXPIRY,
            scopes=("read_api",),
            pkce=True,
        ),
        # https://developers.asana.com/docs/oauth. An application with "full permissions" is asked for no scope.
        Vendor(
            "asana",
            "https://app.asana.com/-/oauth_authorize",
            "https://app.asana.com/-/oauth_token",
            PAIR,
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
            renewed=PAIR,
            expiry=EXPIRY,
            scopes=(
                "read_content",
                "read_customers",
                "read_discounts",
                "read_draft_orders",
                "read_fulfillments",
                "read_inventory",
                "read_legal_policies",
                "read_locations",
                "read_metaobject_definitions",
                "read_metaobjects",
                "read_orders",
                "read_products",
            ),
            separator=",",
            inputs={"shop": NAME},
            asked={"expiring": "1"},
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
        Vendor(
            "jira",
            **ATLASSIAN,
            site="domain",
            scopes=(
                "offline_access",
                "read:jira-work",
                "read:jira-user",
                "read:board-scope:jira-software",
                "read:issue-details:jira",
                "read:jql:jira",
                "read:project:jira",
                "read:sprint:jira-software",
            ),
        ),
        Vendor(
            "confluence",
            **ATLASSIAN,
            site="domain_name",
            scopes=(
                "offline_access",
                "read:attachment:confluence",
                "read:audit-log:confluence",
                "read:comment:confluence",
                "read:database:confluence",
                "read:folder:confluence",
                "read:group:confluence",
                "read:label:confluence",
                "read:page:confluence",
                "read:space:confluence",
                "read:whiteboard:confluence",
            ),
        ),
        # https://linear.app/developers/oauth-2-0-authentication
        Vendor(
            "linear",
            "https://linear.app/oauth/authorize",
            "https://api.linear.app/oauth/token",
            {"access_token": "credentials.access_token"},
            {"credentials.auth_type": "OAuth2.0"},
            renewed=PAIR,
            expiry=EXPIRY,
            scopes=("read",),
            separator=",",
            pkce=True,
        ),
        # https://airtable.com/developers/web/api/oauth-reference
        Vendor(
            "airtable",
            "https://airtable.com/oauth2/v1/authorize",
            "https://airtable.com/oauth2/v1/token",
            {"access_token": "credentials.access_token", **PAIR},
            {"credentials.auth_method": "oauth2.0"},
            expiry=EXPIRY,
            scopes=("data.records:read", "data.recordComments:read", "schema.bases:read"),
            client_in="header",
            pkce=True,
        ),
    )
}
"""By connector."""

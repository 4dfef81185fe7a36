"""The OAuth settings of a vendor, as its connector declares them: addresses, scopes, options for the tokens."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from kitestring.errors import ConfigError, ConnectorError, KitestringError

log = logging.getLogger("kitestring.oauth")


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
    """The address that lists the sites of an access token (Atlassian): `[{id, url}]`. The one that the option `site`
    names gives `cloud_id`."""
    site: str = ""
    sent_as: Literal["form", "json"] = "form"
    client_in: Literal["body", "header"] = "body"
    pkce: bool = False
    signed: bool = False
    """The callback's query is signed with the client's secret (Shopify)."""

    def address(self, template: str, config: Mapping[str, Any]) -> str:
        """An address with the options filled in. `ConfigError` where one is missing or looks like another host's."""
        options: dict[str, str] = {}
        for name, pattern in self.inputs.items():
            value = str(config.get(name) or "").strip()
            if not re.fullmatch(pattern, value):
                raise ConfigError(
                    f"a consent for {self.connector} needs {name}, and {value or 'none'} is not one",
                    hint=f"Give {name} in the configuration: the name alone, without https:// and domain.",
                )
            options[name] = value
        return template.format(**options)


@lru_cache(maxsize=1)
def vendors() -> Mapping[str, Vendor]:
    """By connector: what the sources of the registry declare (`Facts.oauth`)."""
    from kitestring import registry

    by_connector: dict[str, Vendor] = {}
    for connector in registry.connectors("source"):
        try:
            values = connector.facts().oauth
            if values:
                by_connector[connector.name] = vendor_of(connector.name, values)
        except KitestringError as error:  # of one connector, which says so itself when it is used
            log.warning("no consents for %s: %s", connector.name, error.message)
    return by_connector


def vendor_of(connector: str, values: Mapping[str, Any]) -> Vendor:
    """A vendor from what its connector declares. `ConnectorError` for what cannot be one."""
    plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    try:
        return Vendor(connector, **plain)
    except TypeError as error:
        raise ConnectorError(
            f"the OAuth declaration of {connector} is invalid: {error}", hint="Report it to its author."
        ) from error

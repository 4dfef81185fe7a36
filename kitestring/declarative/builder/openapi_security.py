"""The security schemes of an OpenAPI document as authenticators, with the inputs that they need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kitestring.declarative.builder.manifest_plan import (
    Input,
    api_key_authenticator,
    config_template,
    literal_text,
    snake,
    title_of,
)
from kitestring.declarative.builder.openapi_document import OpenApiDocument, mapping, sequence

PREFERENCE = ("bearer", "apikey", "basic", "client", "code", "other")
"""Kinds of credentials, those first that a person gets most easily."""


class Scheme:
    """A security scheme: its kind, the authenticator and its inputs."""

    def __init__(self, kind: str, authenticator: dict[str, Any] | None, inputs: list[Input], title: str) -> None:
        self.kind, self.authenticator, self.inputs, self.title = kind, authenticator, inputs, title


def schemes_of(document: OpenApiDocument) -> dict[str, Scheme]:
    """The schemes of a document that a manifest can use, by name."""
    root = document.root
    declared = (
        mapping(root.get("securityDefinitions"))
        if document.version == 2
        else mapping(mapping(root.get("components")).get("securitySchemes"))
    )
    schemes: dict[str, Scheme] = {}
    for name, value in list(declared.items())[:100]:
        scheme = scheme_of(str(name), document.resolved(value))
        if scheme is not None:
            schemes[str(name)] = scheme
    return schemes


def choose(schemes: Mapping[str, Scheme], requirements: Any) -> tuple[Scheme | None, list[str]]:
    """The scheme to use of what `security` asks for, and the titles of the others; None where nothing is asked for."""
    alternatives = [
        schemes[name]
        for requirement in sequence(requirements)
        for name in list(mapping(requirement))[:1]
        if name in schemes
    ]
    if not alternatives and not (isinstance(requirements, list) and not requirements):
        alternatives = list(schemes.values())
    alternatives.sort(key=lambda scheme: PREFERENCE.index(scheme.kind))
    others = [scheme.title for scheme in alternatives[1:] if scheme.title != alternatives[0].title]
    return (alternatives[0] if alternatives else None), list(dict.fromkeys(others))


def scheme_of(name: str, values: Mapping[str, Any]) -> Scheme | None:
    kind = str(values.get("type", "")).lower()
    if kind == "apikey":
        return api_key(name, values)
    if kind == "basic" or (kind == "http" and str(values.get("scheme", "")).lower() == "basic"):
        inputs = [Input("username", "User name"), Input("password", "Password", secret=True)]
        authenticator = {
            "type": "BasicHttpAuthenticator",
            "username": config_template("username"),
            "password": config_template("password"),
        }
        return Scheme("basic", authenticator, inputs, "a user name and a password")
    if kind in ("http", "openidconnect"):
        scheme = str(values.get("scheme") or "bearer")
        return bearer() if scheme.lower() == "bearer" else with_scheme(scheme)
    if kind == "oauth2":
        return oauth(values)
    return None


def bearer() -> Scheme:
    authenticator = {"type": "BearerAuthenticator", "api_token": config_template("api_token")}
    return Scheme("bearer", authenticator, [Input("api_token", "API token", secret=True)], "a bearer token")


def with_scheme(scheme: str) -> Scheme:
    template = f"{literal_text(scheme)} {config_template('api_token')}"
    authenticator = api_key_authenticator(template, "header", "Authorization")
    return Scheme("other", authenticator, [Input("api_token", "API token", secret=True)], f"the scheme {scheme}")


def api_key(name: str, values: Mapping[str, Any]) -> Scheme | None:
    place, field = str(values.get("in", "header")), str(values.get("name") or "")
    if not field:
        return None
    description = str(values.get("description") or "").strip()
    prefix = next((word for word in ("Bearer", "Token") if f"{word} " in description[:300]), "")
    if place == "header" and field.lower() == "authorization" and prefix == "Bearer":
        return bearer()
    own = snake(field)
    wanted = own if own.endswith(("key", "token")) and own not in ("key", "token") else "api_key"
    template = config_template(wanted)
    if field.lower() == "authorization" and prefix:
        template = f"{prefix} {template}"
    if place == "cookie":
        template, field, place = f"{field}={template}", "Cookie", "header"
    authenticator = api_key_authenticator(template, "request_parameter" if place == "query" else "header", field)
    return Scheme("apikey", authenticator, [Input(wanted, title_of(wanted), secret=True)], f"the key {field}")


def oauth(values: Mapping[str, Any]) -> Scheme | None:
    flows = mapping(values.get("flows"))
    if not flows and values.get("flow"):  # version 2
        names = {"application": "clientCredentials", "accessCode": "authorizationCode"}
        flows = {names.get(str(values["flow"]), str(values["flow"])): values}
    client = [Input("client_id", "Client ID"), Input("client_secret", "Client secret", secret=True)]
    shared = {"client_id": config_template("client_id"), "client_secret": config_template("client_secret")}
    for name in ("authorizationCode", "clientCredentials"):
        flow = mapping(flows.get(name))
        endpoint = str(flow.get("tokenUrl") or "")
        if not endpoint.startswith(("http://", "https://")):
            continue
        authenticator = {"type": "OAuthAuthenticator", "token_refresh_endpoint": literal_text(endpoint), **shared}
        if name == "clientCredentials":
            authenticator["grant_type"] = "client_credentials"
            return Scheme("client", authenticator, client, "OAuth with client credentials")
        authenticator["refresh_token"] = config_template("refresh_token")
        inputs = [*client, Input("refresh_token", "Refresh token", secret=True)]
        return Scheme("code", authenticator, inputs, "OAuth with a refresh token")
    return bearer() if flows else None

"""An account's consent for a source whose connector is a manifest that describes one, published or installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from kitestring import registry
from kitestring.config import secrets_in
from kitestring.declarative.consent_flow import ConsentFlow
from kitestring.errors import ConfigError, KitestringError
from kitestring.paths import set_value, value_at
from kitestring.server.auth.token_hash import random_token
from kitestring.server.builder import manifest_consent
from kitestring.server.connections import endpoints
from kitestring.server.connectors import definitions
from kitestring.server.connectors.definitions import Definition
from kitestring.server.context import Context
from kitestring.server.oauth import consent
from kitestring.server.oauth.consent import ConsentResult
from kitestring.server.observability.audit import acting

AUTH = ["spec", "advanced_auth"]


def manifest_of(definition: Definition) -> Mapping[str, Any] | None:
    """The values of a connector's manifest, its references resolved where they lead to its consent; None without."""
    from kitestring.declarative.manifest import References, json_values, read_text

    values: Any = definition.manifest
    if values is None:
        if definition.gone or not definition.connector:
            return None
        try:
            path = registry.connector("source", definition.connector, files=False).manifest
            text = read_text(path) if path is not None else ""
            values = json_values(text) if "oauth_connector_input_specification" in text else None
        except KitestringError:  # it says so itself when it is used
            return None
    if not isinstance(values, Mapping) or not isinstance(values.get("spec"), Mapping | str):
        return None
    try:
        return {**values, "spec": References(values).resolve(values["spec"], "spec")}
    except KitestringError:
        return None


def needed_inputs(definition: Definition) -> list[list[str]] | None:
    """The options of a connector's form with the id and the secret of the application, which its consent needs. None
    where the connector describes no consent, or its form has no such options."""
    manifest = manifest_of(definition)
    specification = value_at(manifest, [*AUTH, "oauth_config_specification"]) if manifest is not None else None
    if not isinstance(specification, Mapping):
        return None
    try:
        flow = ConsentFlow(specification)
    except ConfigError:
        return None
    form = definitions.spec_of(definition)
    needed = []
    for name in ("client_id", "client_secret"):
        place = next((path for path in flow.client_places(name) if has_option(form, path)), None)
        if place is None:
            return None
        needed.append(place)
    return needed


def has_option(form: Any, path: Sequence[str]) -> bool:
    """Whether a JSON schema has an option at a path, in one of its alternatives."""
    if not path:
        return True
    if not isinstance(form, Mapping):
        return False
    properties = form.get("properties")
    if isinstance(properties, Mapping) and path[0] in properties and has_option(properties[path[0]], path[1:]):
        return True
    alternatives = [form.get(key) for key in ("oneOf", "anyOf", "allOf")]
    return any(has_option(part, path) for parts in alternatives if isinstance(parts, list) for part in parts)


def begin(
    context: Context,
    definition: Definition,
    config: Mapping[str, Any],
    *,
    actor: str,
    workspace_id: str,
    redirect_url: str,
    source_id: str | None,
    browser: str,
) -> str:
    """The page at which the account consents. The connector has to describe a consent (`needed_inputs`)."""
    consent.check_redirect(context, redirect_url)
    manifest = manifest_of(definition) or {}
    return manifest_consent.begin(
        context,
        manifest,
        config,
        redirect_url=redirect_url,
        browser=browser,
        actor=actor,
        workspace_id=workspace_id,
        definition_id=definition.id,
        connector=definition.connector or definition.id,
        source_id=source_id,
        inputs=dict(config),
        branch=branch_of(manifest),
    )


def branch_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The option that chooses the OAuth branch of the form (`predicate_key` and `predicate_value`)."""
    auth = value_at(manifest, AUTH)
    chosen: dict[str, Any] = {}
    key, value = (auth.get("predicate_key"), auth.get("predicate_value")) if isinstance(auth, Mapping) else (None, None)
    if isinstance(key, list) and key and isinstance(value, str):
        set_value(chosen, [str(part) for part in key], value)
    return chosen


def end(context: Context, body: Mapping[str, Any], query: Mapping[str, str]) -> ConsentResult:
    """Handle the redirect of the vendor, with what was kept for it: the tokens go sealed into the source, or wait for
    one under a secret id."""
    back = str(body["redirect_url"])
    try:
        return complete(context, body, query)
    except KitestringError as error:
        return ConsentResult(back, error=error.message[:500])


def complete(context: Context, body: Mapping[str, Any], query: Mapping[str, str]) -> ConsentResult:
    back, source_id = str(body["redirect_url"]), body["source_id"]
    with context.store.read() as db:
        form = definitions.spec_of(definition_at(db, body))
    secrets = list(secrets_in(body["inputs"], form))
    tokens = manifest_consent.options(context, body, query, body["inputs"], secrets)
    tokens = endpoints.merged(body["branch"], tokens)
    with acting(str(body["actor"])), context.store.write() as db:
        if source_id:
            row = endpoints.get(db, "source", source_id)
            # The vendor's tokens do not change who wrote the rest of the configuration, so `trusted` stays.
            endpoints.change(context, db, "source", row.id, config=tokens, merge=True, trusted=row.trusted)
            return ConsentResult(back, source_id=source_id)
        secret_id = random_token()
        pending = {
            "workspace_id": body["workspace_id"],
            "connector": body["connector"],
            "config": tokens,
            "merge": True,
        }
        consent.store_pending(context, db, secret_id, pending, context.store.now_ms(db), consent.SECRET_MINUTES)
    return ConsentResult(back, secret_id=secret_id)


def definition_at(db: Connection, body: Mapping[str, Any]) -> Definition:
    """The connector of a consent, in the version that its source runs."""
    if body["source_id"]:
        return endpoints.definition_of(db, "source", endpoints.get(db, "source", body["source_id"]))
    return definitions.get(db, "source", body["definition_id"])

"""Sets up the connectors and the streams of a request: configuration, credentials, confinement, shared rate limits."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kitestring.config import secrets_in
from kitestring.credentials import RenewsCredentials, TellsCredentialEnds
from kitestring.engine.selection import Selection
from kitestring.errors import KitestringError
from kitestring.server.child.call import ActionCall
from kitestring.server.child.credential_store import ActorCredentials
from kitestring.server.connectors.confinement import Confinement
from kitestring.server.secrets.references import resolve, resolve_config, restore_references
from kitestring.server.secrets.secret_box import is_reference

if TYPE_CHECKING:
    from kitestring.registry import Connector

log = logging.getLogger("kitestring.jobs")

SOON_DAYS = 30
"""Each job's log warns of a credential that ends within so many days."""


def build_connector(call: ActionCall, kind: str, end: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Build a connector with its configuration; returns it and its configuration schema.

    Masks its secrets in the log first, looks up references to secrets, and confines the connector to what it may use of
    the machine.
    """
    manifest = dict(end["manifest"]) if end.get("manifest") is not None else None
    if manifest is not None:
        from kitestring.declarative.manifest import connection_specification

        connector = None
        spec = dict(connection_specification(manifest))
    else:
        connector = connector_named(kind, str(end["connector"]))
        spec = connector.spec()
    stored_config = dict(end.get("config") or {})
    call.hide({secret for secret in secrets_in(stored_config, spec) if not is_reference(secret)})
    egress = call.egress
    with egress.trusted() if egress else contextlib.nullcontext():
        config, referred = resolve_config(stored_config, spec, call.request.get("references") or ())
    call.hide({value for _, value in referred.values()})
    built: Any = Confinement.from_request(call.request.get("machine"), end).build(connector, manifest, config)
    if egress:
        egress.pin(built)

    def keep(config: Mapping[str, Any]) -> None:
        call.hide(set(secrets_in(config, spec)))
        call.parent.request_answer("config", end=kind, config=restore_references(config, referred), spec=spec)

    if isinstance(built, RenewsCredentials):

        def opened(stored: Mapping[str, Any]) -> Mapping[str, Any]:
            call.hide({value for value in secrets_in(stored, spec) if not is_reference(value)})
            with egress.trusted() if egress else contextlib.nullcontext():
                return resolve_config(stored, spec, call.request.get("references") or ())[0]

        built.keep_credentials(ActorCredentials(call, kind, lambda new: keep({**config, **new}), opened))
    elif hasattr(built, "on_config"):
        # Airbyte's generic connector holds the configuration of the program in its own.
        inner = (
            "config" if isinstance(config.get("config"), Mapping) and "config" in (spec.get("properties") or {}) else ""
        )
        built.on_config(lambda new: keep({**config, inner: dict(new)} if inner else {**config, **new}))
    if call.request.get("shared") and hasattr(built, "share"):
        from kitestring.server.child.shared_rate_limit import shared_limits

        built.share(shared_limits(call.parent, str(end.get("connector")), config, spec))
    return built, spec


def connector_named(kind: str, name: str) -> Connector:
    """A connector by its name. A path is not accepted as a name."""
    from kitestring import registry

    return registry.connector("source" if kind == "source" else "destination", name, files=False)


def report_credential_ends(call: ActionCall, end: str, connector: Any) -> None:
    """Report to the parent when credentials end, and warn in the log if that is soon."""
    if not isinstance(connector, TellsCredentialEnds):
        return
    try:
        ends = connector.credential_ends()
    except KitestringError as error:
        log.warning("the end of the credentials is unknown: %s", error.message)
        return
    call.parent.send(
        "credential_ends",
        end=end,
        ends=[
            {"name": credential.name, "at": credential.at.isoformat(), "hint": credential.hint} for credential in ends
        ],
    )
    for credential in ends:
        if credential.days_left < SOON_DAYS:
            log.warning("%s", credential)


def selections(call: ActionCall, request: Mapping[str, Any]) -> list[Selection]:
    """The streams of a request. Keys of their mappers are looked up, and masked in the log."""
    pairs = [selection_of(stream, call.request.get("references") or ()) for stream in request.get("streams") or ()]
    call.hide({secret for _, secrets in pairs for secret in secrets})
    return [selection for selection, _ in pairs]


def selection_of(stream: Mapping[str, Any], references: Iterable[str]) -> tuple[Selection, set[str]]:
    """The engine's selection for a stream of a request, with references looked up, and the secrets in it."""
    secrets: set[str] = set()
    mappers: list[dict[str, Any]] = []
    for mapper in stream.get("mappers") or ():
        if is_reference(mapper.get("key")):
            mapper = {**mapper, "key": resolve(mapper["key"], references)}
            secrets.add(mapper["key"])
        mappers.append(dict(mapper))
    return Selection(**{**stream, "mappers": mappers}), secrets

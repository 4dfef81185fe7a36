"""What the API asks of a connector at once: spec, check, discover, read, search, estimate. Each runs in a child."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kitestring.config import secrets_in
from kitestring.errors import ConfigError
from kitestring.server.child.call import ActionCall
from kitestring.server.child.connector_setup import build_connector, connector_named, report_credential_ends, selections
from kitestring.server.child.credential_store import ActorCredentials
from kitestring.server.child.egress import restrict_to_network
from kitestring.server.connectors.confinement import Confinement


@contextlib.contextmanager
def open_connector(call: ActionCall, kind: str) -> Iterator[Any]:
    """The connector of the request, closed at the end."""
    made, _ = build_connector(call, kind, call.request[kind])
    try:
        yield made
    finally:
        with contextlib.suppress(Exception):
            made.close()


def endpoint_kind(call: ActionCall) -> str:
    return "source" if call.request.get("source") else "destination"


def spec(call: ActionCall) -> Any:
    """The form of a connector."""
    kind = endpoint_kind(call)
    return connector_named(kind, str(call.request[kind]["connector"])).spec()


def check(call: ActionCall) -> Any:
    """Raises what is wrong with a source or a destination."""
    with open_connector(call, endpoint_kind(call)) as one:
        one.check()
        report_credential_ends(call, endpoint_kind(call), one)
    return {}


def discover(call: ActionCall) -> Any:
    """The catalog of a source, as a CATALOG message of Airbyte's protocol has it."""
    from kitestring.airbyte.messages import catalog_body

    with open_connector(call, "source") as source:
        return catalog_body(source.discover())


def read(call: ActionCall) -> Any:
    """The first `limit` records of `stream`: `{"records": […], "rejected": […]}`."""
    from kitestring.library import Records, SourceHandle

    with open_connector(call, "source") as source:
        handle = object.__new__(SourceHandle)
        handle.name, handle.config, handle._built = str(call.request["source"]["connector"]), {}, source
        records = Records(handle, str(call.request["stream"]), int(call.request.get("limit") or 100))
        return {
            "records": list(records),
            "rejected": [{"record": one.record, "reason": one.reason} for one in records.rejected],
        }


def search(call: ActionCall) -> Any:
    """The chunks of a destination that are nearest to `text`; `where`, `limit`, `threshold`, `hybrid`, `stream`,
    `includeDeleted`."""
    from kitestring.destination import Searches

    given = call.request
    with open_connector(call, "destination") as destination:
        if not isinstance(destination, Searches):
            raise ConfigError(
                f"{given['destination']['connector']} cannot be searched by meaning", hint="Search a vector store."
            )
        return destination.search(
            str(given["text"]),
            where=given.get("where"),
            limit=int(given.get("limit") or 10),
            threshold=given.get("threshold"),
            hybrid=given.get("hybrid"),
            stream=given.get("stream"),
            **({"include_deleted": True} if given.get("includeDeleted") else {}),
        )


def estimate(call: ActionCall) -> Any:
    """What a sync of this plan would read and cost, from at most `sample` records of each stream."""
    from kitestring import engine

    given = call.request
    states = engine.MemoryStates()
    for stream, state in (given.get("states") or {}).items():
        states.save(given["connection"], stream, state)
    source, _ = build_connector(call, "source", given["source"])
    destination, _ = build_connector(call, "destination", given["destination"])
    return engine.estimate(
        source,
        destination,
        selections(call, given) or None,
        states=states,
        connection=given["connection"],
        prefix=given.get("prefix") or "",
        namespace=given.get("namespace"),
        sample=given.get("sample"),
        cancel=call.cancel,
    ).as_dict()


def manifest_resolve(call: ActionCall) -> Any:
    """A manifest written out."""
    from kitestring.declarative.builder.resolution import resolved

    return resolved(call.request["manifest"])


def manifest_validate(call: ActionCall) -> Any:
    """The defects of a manifest."""
    from dataclasses import asdict

    from kitestring.declarative.builder.validation import validate

    return [asdict(one) for one in validate(call.request["manifest"], call.request.get("config"))]


def manifest_read(call: ActionCall) -> Any:
    """A little of one stream of a manifest. Secrets of the configuration are masked in what is shown."""
    from kitestring.declarative.builder.preview import read

    given = call.request
    confinement = Confinement.from_request(call.request.get("machine"), given)
    config = dict(given.get("config") or {})

    def prepare(source: Any) -> None:
        confinement.apply(source, "the manifest")
        form = source.form

        def keep(changed: Mapping[str, Any]) -> None:
            call.hide(set(secrets_in(changed, form)))
            call.parent.ask("config", end="source", config={**config, **changed}, spec=form)

        source.keep_credentials(ActorCredentials(call, "source", keep, dict))

    found = read(
        given["manifest"],
        config,
        str(given["stream"]),
        state=given.get("state"),
        built=prepare,
        **given["most"],
    )
    return found.values()


def notify(call: ActionCall) -> Any:
    """Send a notification by a webhook or by apprise: here, so that a hardened server keeps it off its network too."""
    from kitestring.server.notifications.channels import looked_up
    from kitestring.server.notifications.delivery import by_apprise, by_webhook

    given = call.request
    with call.egress.trusted() if call.egress else contextlib.nullcontext():
        address = looked_up(str(given["address"]), given["references"])
    call.hide({address})
    if given["way"] == "webhook":
        by_webhook(address, given["notice"])
        return {}
    import apprise  # noqa: F401 - what it reads when it is imported, it may

    restrict_to_network()
    by_apprise(address, given["notice"])
    return {}


ACTIONS: dict[str, Callable[[ActionCall], Any]] = {
    "spec": spec,
    "check": check,
    "discover": discover,
    "read": read,
    "search": search,
    "estimate": estimate,
    "notify": notify,
    "manifest_resolve": manifest_resolve,
    "manifest_validate": manifest_validate,
    "manifest_read": manifest_read,
}

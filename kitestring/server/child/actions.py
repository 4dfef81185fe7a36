"""What the API asks of a connector at once: spec, check, discover, read, search, estimate. Each runs in a child."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kitestring.config import secrets_in
from kitestring.errors import ConfigError
from kitestring.server.child.call import Told
from kitestring.server.child.connector_setup import built, named, note_ends, selections
from kitestring.server.child.credential_store import ActorCredentials
from kitestring.server.child.egress import keep_to_network
from kitestring.server.connectors.confinement import Confinement


@contextlib.contextmanager
def opened(told: Told, kind: str) -> Iterator[Any]:
    """The connector of the request, closed at the end."""
    made, _ = built(told, kind, told.request[kind])
    try:
        yield made
    finally:
        with contextlib.suppress(Exception):
            made.close()


def kind_of(told: Told) -> str:
    return "source" if told.request.get("source") else "destination"


def spec(told: Told) -> Any:
    """The form of a connector."""
    kind = kind_of(told)
    return named(kind, str(told.request[kind]["connector"])).spec()


def check(told: Told) -> Any:
    """Raises what is wrong with a source or a destination."""
    with opened(told, kind_of(told)) as one:
        one.check()
        note_ends(told, kind_of(told), one)
    return {}


def discover(told: Told) -> Any:
    """The catalog of a source, as a CATALOG message of Airbyte's protocol has it."""
    from kitestring.airbyte.messages import catalog_body

    with opened(told, "source") as source:
        return catalog_body(source.discover())


def read(told: Told) -> Any:
    """The first `limit` records of `stream`: `{"records": […], "rejected": […]}`."""
    from kitestring.library import Records, SourceHandle

    with opened(told, "source") as source:
        handle = object.__new__(SourceHandle)
        handle.name, handle.config, handle._built = str(told.request["source"]["connector"]), {}, source
        records = Records(handle, str(told.request["stream"]), int(told.request.get("limit") or 100))
        return {
            "records": list(records),
            "rejected": [{"record": one.record, "reason": one.reason} for one in records.rejected],
        }


def search(told: Told) -> Any:
    """The chunks of a destination that are nearest to `text`; `where`, `limit`, `threshold`, `hybrid`, `stream`,
    `includeDeleted`."""
    from kitestring.destination import Searches

    given = told.request
    with opened(told, "destination") as destination:
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


def estimate(told: Told) -> Any:
    """What a sync of this plan would read and cost, from at most `sample` records of each stream."""
    from kitestring import engine

    given = told.request
    states = engine.MemoryStates()
    for stream, state in (given.get("states") or {}).items():
        states.save(given["connection"], stream, state)
    source, _ = built(told, "source", given["source"])
    destination, _ = built(told, "destination", given["destination"])
    return engine.estimate(
        source,
        destination,
        selections(told, given) or None,
        states=states,
        connection=given["connection"],
        prefix=given.get("prefix") or "",
        namespace=given.get("namespace"),
        sample=given.get("sample"),
        cancel=told.cancel,
    ).as_dict()


def manifest_resolve(told: Told) -> Any:
    """A manifest written out."""
    from kitestring.declarative.builder.resolution import resolved

    return resolved(told.request["manifest"])


def manifest_validate(told: Told) -> Any:
    """The defects of a manifest."""
    from dataclasses import asdict

    from kitestring.declarative.builder.validation import validate

    return [asdict(one) for one in validate(told.request["manifest"], told.request.get("config"))]


def manifest_read(told: Told) -> Any:
    """A little of one stream of a manifest. Secrets of the configuration are masked in what is shown."""
    from kitestring.declarative.builder.preview import read

    given = told.request
    confinement = Confinement.from_request(told.request.get("machine"), given)
    config = dict(given.get("config") or {})

    def prepare(source: Any) -> None:
        confinement.apply(source, "the manifest")
        form = source.form

        def keep(changed: Mapping[str, Any]) -> None:
            told.hide(set(secrets_in(changed, form)))
            told.up.ask("config", end="source", config={**config, **changed}, spec=form)

        source.keep_credentials(ActorCredentials(told, "source", keep, dict))

    found = read(
        given["manifest"],
        config,
        str(given["stream"]),
        state=given.get("state"),
        built=prepare,
        **given["most"],
    )
    return found.values()


def notify(told: Told) -> Any:
    """Send a notification by a webhook or by apprise: here, so that a hardened server keeps it off its network too."""
    from kitestring.server.notifications.channels import looked_up
    from kitestring.server.notifications.delivery import by_apprise, by_webhook

    given = told.request
    with told.egress.trusted() if told.egress else contextlib.nullcontext():
        address = looked_up(str(given["address"]), given["references"])
    told.hide({address})
    if given["way"] == "webhook":
        by_webhook(address, given["notice"])
        return {}
    import apprise  # noqa: F401 - what it reads when it is imported, it may

    keep_to_network()
    by_apprise(address, given["notice"])
    return {}


ACTIONS: dict[str, Callable[[Told], Any]] = {
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

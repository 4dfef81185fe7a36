"""What the API asks of a connector at once: spec, check, discover, read, search, estimate. Each runs in a child."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kitestring.config import secrets_in
from kitestring.credentials import RenewsCredentials, TellsCredentialEnds
from kitestring.errors import ConfigError, KitestringError
from kitestring.server.child.credential_store import ActorCredentials
from kitestring.server.child.egress import keep_to_network
from kitestring.server.connectors.confinement import Confinement
from kitestring.server.secrets.references import looked_up, put_back
from kitestring.server.secrets.secret_box import is_reference

if TYPE_CHECKING:
    from kitestring.engine import Selection
    from kitestring.registry import Connector
    from kitestring.server.child.call import Told


log = logging.getLogger("kitestring.jobs")

SOON_DAYS = 30
"""So many days before a credential ends each job's log says so."""


def built(told: Told, kind: str, end: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A connector with its configuration, and its form. Its secrets are hidden from the log before it is built.

    Here references to secrets are looked up, and what the connector may use of the machine is decided.
    """
    manifest = dict(end["manifest"]) if end.get("manifest") is not None else None
    if manifest is not None:
        connector = None
        spec = dict((manifest.get("spec") or {}).get("connection_specification") or {})
    else:
        connector = named(kind, str(end["connector"]))
        spec = connector.spec()
    given = dict(end.get("config") or {})
    told.hide({one for one in secrets_in(given, spec) if not is_reference(one)})
    egress = told.egress
    with egress.trusted() if egress else contextlib.nullcontext():
        config, referred = looked_up(given, spec, told.request.get("references") or ())
    told.hide({value for _, value in referred.values()})
    made: Any = Confinement.from_request(told.request.get("machine"), end).build(connector, manifest, config)
    if egress:
        egress.pin(made)

    def keep(whole: Mapping[str, Any]) -> None:
        told.hide(set(secrets_in(whole, spec)))
        told.up.ask("config", end=kind, config=put_back(whole, referred), spec=spec)

    if isinstance(made, RenewsCredentials):

        def opened(stored: Mapping[str, Any]) -> Mapping[str, Any]:
            told.hide({value for value in secrets_in(stored, spec) if not is_reference(value)})
            with egress.trusted() if egress else contextlib.nullcontext():
                return looked_up(stored, spec, told.request.get("references") or ())[0]

        made.keep_credentials(ActorCredentials(told, kind, lambda new: keep({**config, **new}), opened))
    elif hasattr(made, "on_config"):
        # Airbyte's generic connector holds the configuration of the program in its own.
        inner = (
            "config" if isinstance(config.get("config"), Mapping) and "config" in (spec.get("properties") or {}) else ""
        )
        made.on_config(lambda new: keep({**config, inner: dict(new)} if inner else {**config, **new}))
    if told.request.get("shared") and hasattr(made, "share"):
        from kitestring.server.child.shared_rate_limit import sharing

        made.share(sharing(told.up, str(end.get("connector")), config, spec))
    return made, spec


def named(kind: str, name: str) -> Connector:
    """A connector by its name; a name is never a path here."""
    from kitestring import registry

    return registry.connector("source" if kind == "source" else "destination", name, files=False)


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


def note_ends(told: Told, end: str, connector: Any) -> None:
    """Tell the parent when credentials end, and the log when that is soon."""
    if not isinstance(connector, TellsCredentialEnds):
        return
    try:
        ends = connector.credential_ends()
    except KitestringError as error:
        log.warning("when the credentials end cannot be told: %s", error.message)
        return
    told.up.send(
        "credential_ends",
        end=end,
        ends=[{"name": one.name, "at": one.at.isoformat(), "hint": one.hint} for one in ends],
    )
    for one in ends:
        if one.days_left < SOON_DAYS:
            log.warning("%s", one)


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


def selections(told: Told, given: Mapping[str, Any]) -> list[Selection]:
    """The streams of a request; the keys of their mappers are looked up, and hidden from the log."""
    from kitestring.server.connections.stream_mappers import opened

    found = [opened(one, told.request.get("references") or ()) for one in given.get("streams") or ()]
    told.hide({secret for _, secrets in found for secret in secrets})
    return [selection for selection, _ in found]


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
    from kitestring.server.notifications.sender import by_apprise, by_webhook

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

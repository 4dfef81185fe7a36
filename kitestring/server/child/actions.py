"""Short actions of connectors in a child process: spec, check, discover, read, preview, search, estimate, notify, and
the replication slot of a source."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from kitestring.errors import ConfigError
from kitestring.replication_slot import RetainsLog
from kitestring.server.child.call import ActionCall
from kitestring.server.child.connector_setup import build_connector, connector_named, report_credential_ends, selections
from kitestring.server.child.egress import restrict_to_network
from kitestring.server.child.filter_fields import refuse_unknown_fields
from kitestring.server.child.stream_preview import stream_preview


@contextlib.contextmanager
def open_connector(call: ActionCall, kind: str) -> Iterator[Any]:
    """Open the connector of the request, and close it at the end. In a search process it stays open. A read with a
    permission gets the destination as its reader sees it, whatever the action is."""
    if call.connectors is not None:
        with call.connectors.opened(call, kind) as connector:
            yield seen_by_reader(call, kind, connector)
        return
    connector, _ = build_connector(call, kind, call.request[kind])
    try:
        yield seen_by_reader(call, kind, connector)
    finally:
        with contextlib.suppress(Exception):
            connector.close()


def seen_by_reader(call: ActionCall, kind: str, connector: Any) -> Any:
    permission = call.request.get("permission")
    if kind != "destination" or permission is None:
        return connector
    from kitestring.retrieval.restricted import restricted

    return restricted(connector, permission)


def endpoint_kind(call: ActionCall) -> str:
    return "source" if call.request.get("source") else "destination"


def spec(call: ActionCall) -> Any:
    """The configuration schema of a connector."""
    kind = endpoint_kind(call)
    return connector_named(kind, str(call.request[kind]["connector"])).spec()


def check(call: ActionCall) -> Any:
    """Check a source or a destination. Raises the error that it finds."""
    with open_connector(call, endpoint_kind(call)) as connector:
        connector.check()
        report_credential_ends(call, endpoint_kind(call), connector)
    return {}


def discover(call: ActionCall) -> Any:
    """The catalog of a source, as in a CATALOG message of Airbyte's protocol."""
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
            "rejected": [{"record": reject.record, "reason": reject.reason} for reject in records.rejected],
        }


def search(call: ActionCall) -> Any:
    """The chunks of a destination that are nearest to `text`. Options: `where`, `limit`, `threshold`, `hybrid`,
    `stream`, `includeDeleted`, `perRecord`. `explained`: with what the scores mean, and the words of the text."""
    from kitestring.destination import Searches
    from kitestring.retrieval.highlight import highlights
    from kitestring.vector.chunk_pages import ReadsChunks

    request = call.request
    with open_connector(call, "destination") as destination:
        if not isinstance(destination, Searches):
            raise ConfigError(
                f"{request['destination']['connector']} cannot be searched by meaning", hint="Search a vector store."
            )
        more: dict[str, Any] = {"include_deleted": True} if request.get("includeDeleted") else {}
        if request.get("perRecord"):
            more["per_record"] = int(request["perRecord"])
        hits = destination.search(
            str(request["text"]),
            where=request.get("where"),
            limit=int(request.get("limit") or 10),
            threshold=request.get("threshold"),
            hybrid=request.get("hybrid"),
            stream=request.get("stream"),
            **more,
        )
        stream = request.get("stream")
        refuse_unknown_fields(destination, request.get("where"), hits, [(stream, None)] if stream else None)
        if not request.get("explained"):
            return hits
        unknown = {"metric": "", "nearest": "", "hybrid": False}
        return {
            "data": hits,
            "highlights": [highlights(str(request["text"]), str(hit.get("text") or "")) for hit in hits],
            **(destination.score(request.get("hybrid")) if isinstance(destination, ReadsChunks) else unknown),
        }


def estimate(call: ActionCall) -> Any:
    """Estimate what a sync would read and cost, from at most `sample` records of each stream."""
    from kitestring import engine

    request = call.request
    states = engine.MemoryStates()
    for stream, state in (request.get("states") or {}).items():
        states.save(request["connection"], stream, state)
    source, _ = build_connector(call, "source", request["source"])
    destination, _ = build_connector(call, "destination", request["destination"])
    return engine.estimate(
        source,
        destination,
        selections(call, request) or None,
        states=states,
        connection=request["connection"],
        prefix=request.get("prefix") or "",
        namespace=request.get("namespace"),
        sample=request.get("sample"),
        cancel=call.cancel,
    ).as_dict()


def slot_report(call: ActionCall) -> Any:
    """The replication slot of a source (`SlotReport`); null where it has none."""
    with open_connector(call, "source") as source:
        report = source.slot_report() if isinstance(source, RetainsLog) else None
        return None if report is None else report.as_dict()


def drop_slot(call: ActionCall) -> Any:
    """Drop the replication slot of a source: `{"dropped": […]}`.

    `slot` and `server` are those that the connection read; the configuration may name others since.
    """
    request = call.request
    with open_connector(call, "source") as source:
        report = source.slot_report() if isinstance(source, RetainsLog) else None
        now = "no slot" if report is None else f"{report.slot} of {report.place}"
        if report is None or report.slot != request["slot"] or report.server != request["server"]:
            raise ConfigError(
                f"the connection read the slot {request['slot']}, and the source uses {now} now",
                hint=f"Run there, if nobody reads it: SELECT pg_drop_replication_slot('{request['slot']}');",
            )
        assert isinstance(source, RetainsLog)
        return {"dropped": source.drop_slot()}


def notify(call: ActionCall) -> Any:
    """Send a notification by a webhook or apprise, under the egress policy of a hardened server."""
    from kitestring.server.notifications.delivery import send_apprise, send_webhook
    from kitestring.server.notifications.notification_settings import resolve_address

    request = call.request
    with call.egress.trusted() if call.egress else contextlib.nullcontext():
        address = resolve_address(str(request["address"]), request["references"])
    call.hide({address})
    if request["way"] == "webhook":
        send_webhook(address, request["notice"])
        return {}
    import apprise  # noqa: F401 - imported before the restriction, since the import reads files

    restrict_to_network()
    send_apprise(address, request["notice"])
    return {}


ACTIONS: dict[str, Callable[[ActionCall], Any]] = {
    "spec": spec,
    "check": check,
    "discover": discover,
    "read": read,
    "stream_preview": stream_preview,
    "search": search,
    "estimate": estimate,
    "notify": notify,
    "slot_report": slot_report,
    "drop_slot": drop_slot,
}

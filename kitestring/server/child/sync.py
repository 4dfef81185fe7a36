"""A sync in a child process: runs the engine and sends each state to the parent, which acknowledges it."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kitestring.destination import Destination
from kitestring.engine import Progress, Rejects, Selection, StateStore, sync
from kitestring.engine.selection import routes
from kitestring.engine.waits import noted_waits
from kitestring.errors import KitestringError
from kitestring.json_codec import dumps, loads
from kitestring.replication_slot import RetainsLog
from kitestring.server.child.call import ActionCall
from kitestring.server.child.catalog_digest import digest
from kitestring.server.child.connector_setup import build_connector, report_credential_ends, selections
from kitestring.server.child.limits import classify
from kitestring.server.child.protocol import ParentChannel, error_body
from kitestring.source import Source
from kitestring.types import COUNTS, Catalog, State

log = logging.getLogger("kitestring.jobs")

PULSE_S = 1.0
SLOT_EVERY_S = 5.0
SLOT_JOIN_S = 10.0


class ParentStates:
    """A state store in the parent: a state is durable when `save` returns. The queue has locked the connection already.

    `notes` are the engine's notes of other connections to the same destination.
    """

    def __init__(self, up: ParentChannel, states: Mapping[str, State], notes: Mapping[str, State]) -> None:
        self._up = up
        self._states = dict(states)
        self._notes = dict(notes)

    def load(self, connection: str) -> dict[str, State]:
        return {COUNTS: self._notes[connection]} if connection in self._notes else dict(self._states)

    def save(self, connection: str, stream: str, state: State) -> None:
        self.save_all(connection, {stream: state}, {})

    def save_all(self, connection: str, states: Mapping[str, State], figures: Mapping[str, Mapping[str, Any]]) -> None:
        """Have the parent save these states and the figures they cover, in one transaction."""
        self._up.request_answer("save", states=states, figures=figures)

    def clear(self, connection: str, stream: str | None = None) -> None:
        self._up.request_answer(
            "save", states=dict.fromkeys([stream] if stream is not None else self._states), figures={}
        )

    def connections(self) -> list[str]:
        return sorted(self._notes)

    @contextlib.contextmanager
    def lock(self, connection: str) -> Iterator[None]:
        yield


@contextlib.contextmanager
def report_progress(call: ActionCall, progress: Progress) -> Iterator[None]:
    """Send the progress to the parent every second, with the announced waits."""
    ended = threading.Event()

    def send_progress() -> None:
        call.parent.send("progress", progress=progress.snapshot())

    def beat() -> None:
        while not ended.wait(PULSE_S):
            with contextlib.suppress(OSError, RuntimeError):
                send_progress()

    thread = threading.Thread(target=beat, name="kitestring-pulse", daemon=True)
    thread.start()
    try:
        with noted_waits(progress):
            yield
    finally:
        ended.set()
        thread.join(5.0)
        with contextlib.suppress(OSError):
            send_progress()


@contextlib.contextmanager
def report_slot(call: ActionCall, source: Source) -> Iterator[None]:
    """Send the state of the source's replication slot to the parent: soon after the beginning, every few seconds, and
    at the end, when the last position is confirmed."""
    if not isinstance(source, RetainsLog):
        yield
        return
    ended = threading.Event()

    def send_report() -> bool:
        try:
            report = source.slot_report()
        except KitestringError as error:  # the sync meets the same error, and says it
            log.debug("the replication slot could not be seen: %s", error.message)
            return True
        if report is not None:
            call.parent.send("slot", report=report.as_dict())
        return report is not None

    def beat() -> None:
        pause_s = PULSE_S
        while not ended.wait(pause_s):
            with contextlib.suppress(OSError, RuntimeError):
                if not send_report():
                    return
            pause_s = SLOT_EVERY_S

    thread = threading.Thread(target=beat, name="kitestring-slot", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(SLOT_JOIN_S)
        with contextlib.suppress(OSError):
            send_report()


@contextlib.contextmanager
def open_ends(call: ActionCall) -> Iterator[tuple[Source, Destination]]:
    """The source and the destination of the request, closed at the end if the engine has not closed them."""
    source, _ = build_connector(call, "source", call.request["source"])
    try:
        report_credential_ends(call, "source", source)
        destination, _ = build_connector(call, "destination", call.request["destination"])
        try:
            quiet_s = getattr(source, "quiet_s", None)
            if isinstance(quiet_s, int | float):  # a foreign program may be silent for this time
                call.parent.send("patience", seconds=quiet_s)
            yield source, destination
        finally:
            with contextlib.suppress(Exception):
                destination.close()
    finally:
        with contextlib.suppress(Exception):
            source.close()


def catalog_of(call: ActionCall, source: Source) -> tuple[Catalog, list[Selection] | None]:
    """The current catalog of the source, and the streams to sync. If the catalog has changed, the parent decides."""
    from kitestring.airbyte.messages import catalog_body

    catalog, chosen = source.discover(), selections(call, call.request)
    if call.request.get("watched"):
        body = catalog_body(catalog)
        if digest(as_json(body)) != call.request.get("catalog_digest"):
            answer = call.parent.request_answer("catalog", catalog=body)
            if answer.get("streams") is not None:
                chosen = selections(call, answer)
    return catalog, chosen or None


def as_json(body: Any) -> Any:
    """The value after a round trip through JSON."""
    return loads(dumps(body))


def run_sync(
    call: ActionCall,
    source: Source,
    destination: Destination,
    catalog: Catalog,
    chosen: Sequence[Selection] | None,
    states: StateStore,
    *,
    allow_empty: bool = False,
) -> dict[str, Any]:
    """Run the engine with the options of the request; returns its result as JSON."""
    request, progress = call.request, Progress(expected=call.request.get("expected") or {})
    with report_slot(call, source), report_progress(call, progress):
        result = sync(
            source,
            destination,
            chosen,
            states=states,
            progress=progress,
            cancel=call.cancel,
            catalog=catalog,
            **options_of(request, allow_empty),
        )
    return result_body(result, call.request.get("limits") or {})


def options_of(request: Mapping[str, Any], allow_empty: bool = False) -> dict[str, Any]:
    """The options of the engine in a request."""
    return {
        "connection": str(request["connection"]),
        "rejects": Rejects(request["rejects"]) if request.get("rejects") else None,
        "max_rejects": int(request.get("max_rejects", 1000)),
        "max_nulled_share": float(request.get("max_nulled_share", 0.01)),
        "prefix": str(request.get("prefix") or ""),
        "namespace": request.get("namespace"),
        "allow_empty": allow_empty or bool(request.get("allow_empty")),
    }


def sync_action(call: ActionCall) -> Any:
    """Sync all streams, except full refreshes that an earlier attempt of this job has completed. (Incremental streams
    continue from their state, and streams that share one are read together.)"""
    request = call.request
    with open_ends(call) as (source, destination):
        catalog, chosen = catalog_of(call, source)
        done = request.get("done") or {}
        if done:
            all_routes = routes(
                catalog, chosen, destination, str(request.get("prefix") or ""), request.get("namespace")
            )
            completed = {
                route.read.key for route in all_routes if not route.read.incremental and route.read.key in done
            }
            selections_or_all = chosen if chosen is not None else [Selection(stream.key) for stream in catalog]
            chosen = [selection for selection in selections_or_all if key_in(catalog, selection) not in completed]
            if not chosen:
                return {"status": "succeeded", "streams": {}, "errors": []}
        return run_sync(call, source, destination, catalog, chosen, parent_states(call, request.get("states") or {}))


def parent_states(call: ActionCall, states: Mapping[str, State]) -> ParentStates:
    """The state store of the job's connection."""
    return ParentStates(call.parent, states, call.request.get("notes") or {})


def key_in(catalog: Catalog, selection: Selection) -> str:
    """The key of a selection's stream."""
    stream = catalog.get(selection.name)
    return stream.key if stream is not None else selection.name


def result_body(result: Any, limits: Mapping[str, Any]) -> dict[str, Any]:
    """A result with its complete errors, so that the parent can decide whether to retry."""
    errors = [item.error for item in result.streams.values() if item.error is not None]
    if result.error is not None:
        errors.insert(0, result.error)
    return {**result.as_dict(), "errors": [error_body(classify(item, limits)) for item in errors]}


ACTIONS: dict[str, Callable[[ActionCall], Any]] = {"sync": sync_action}

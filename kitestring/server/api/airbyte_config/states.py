"""States of Airbyte's Config API: how far each stream of a connection was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import Connection, insert, select

from kitestring.server.api.exact import ExactRoute, exact
from kitestring.server.auth.access import Editor, Reader, ServerContext
from kitestring.server.connections import connection, endpoints
from kitestring.server.context import Context
from kitestring.server.http.problem import Problem
from kitestring.server.store.tables import states
from kitestring.types import COUNTS, GLOBAL

router = APIRouter(prefix="/state", tags=["config: state"], route_class=ExactRoute)


class ConnectionRef(BaseModel):
    """A connection."""

    connectionId: UUID


class Descriptor(BaseModel):
    """A stream by its name."""

    name: str
    namespace: str | None = None

    @property
    def key(self) -> str:
        return f"{self.namespace}.{self.name}" if self.namespace else self.name


class StreamState(BaseModel):
    """How far one stream was read."""

    streamDescriptor: Descriptor
    streamState: dict[str, Any] | None = None


class GlobalState(BaseModel):
    """The shared state, and the states of the streams."""

    sharedState: dict[str, Any] | None = None
    streamStates: list[StreamState] = []


class State(BaseModel):
    """The whole state of a connection."""

    stateType: Literal["global", "stream", "legacy", "not_set"]
    state: dict[str, Any] | None = None
    streamState: list[StreamState] | None = None
    globalState: GlobalState | None = None


class Replace(ConnectionRef):
    """The new state of a connection."""

    connectionState: State


def state_body(context: Context, db: Connection, connection_id: str) -> dict[str, Any]:
    """The states of a connection."""
    row = connection.get(db, connection_id)
    saved = dict(
        db.execute(select(states.c.stream, states.c.state).where(states.c.connection_id == connection_id)).all()
    )
    saved.pop(COUNTS, None)
    names = {
        Descriptor(**stream).key: Descriptor(**stream)
        for stream in [*(row.catalog or {}).get("streams", ()), *row.streams]
    }
    shared = saved.pop(GLOBAL, None)
    if shared is not None and is_global_message(shared):  # as a connector that runs by Airbyte's protocol has it
        body = shared["global"]
        parts = [
            {"streamDescriptor": stream.get("stream_descriptor"), "streamState": stream.get("stream_state")}
            for stream in body.get("stream_states") or ()
        ]
        state = {"sharedState": body.get("shared_state"), "streamStates": parts}
        return {"connectionId": connection_id, "stateType": "global", "globalState": state}
    own = [
        {"streamDescriptor": names.get(key, Descriptor(name=key)).model_dump(exclude_none=True), "streamState": state}
        for key, state in sorted(saved.items())
    ]
    if shared is not None:
        state = {"stateType": "global", "globalState": {"sharedState": shared, "streamStates": own}}
    elif own:
        state = {"stateType": "stream", "streamState": own}
    else:
        state = {"stateType": "not_set"}
    return {"connectionId": connection_id, **state}


def is_global_message(state: Mapping[str, Any]) -> bool:
    """Whether a shared state is a GLOBAL message of Airbyte's protocol, with the streams' own parts in it."""
    return state.get("type") == "GLOBAL" and isinstance(state.get("global"), Mapping)


def states_of(state: State, *, foreign: bool) -> dict[str, Mapping[str, Any]]:
    """The states of a request, by the keys of the store. 422 for a legacy state that is not by stream.

    `foreign`: the source runs by Airbyte's protocol, and wants a global state back in one piece.
    """
    if state.stateType == "not_set":
        return {}
    if state.stateType == "stream":
        parts = state.streamState or []
        return {each.streamDescriptor.key: each.streamState for each in parts if each.streamState is not None}
    if state.stateType == "global":
        whole = state.globalState or GlobalState()
        if foreign:
            inner = [
                {
                    "stream_descriptor": each.streamDescriptor.model_dump(exclude_none=True),
                    "stream_state": each.streamState,
                }
                for each in whole.streamStates
            ]
            body = {"shared_state": whole.sharedState, "stream_states": inner}
            return {GLOBAL: {"type": "GLOBAL", "global": body}}
        states_by_stream: dict[str, Mapping[str, Any]] = {
            each.streamDescriptor.key: each.streamState for each in whole.streamStates if each.streamState is not None
        }
        return states_by_stream if whole.sharedState is None else {GLOBAL: whole.sharedState, **states_by_stream}
    for name, value in (state.state or {}).items():
        if not isinstance(value, Mapping):
            raise Problem(
                422, f"the legacy state has no object for the stream {name}", hint="Give stateType stream or global."
            )
    return dict(state.state or {})


def replace_state(context: Context, db: Connection, connection_id: str, replacement: State) -> None:
    """Replace the state. The engine's counts belong to the old state and are removed with it."""
    row, now = connection.get(db, connection_id), context.store.now_ms(db)
    definition = endpoints.definition_of(db, "source", endpoints.get(db, "source", row.source_id))
    foreign = not definition.native and definition.manifest is None
    db.execute(states.delete().where(states.c.connection_id == connection_id))
    for key, state in states_of(replacement, foreign=foreign).items():
        db.execute(insert(states).values(connection_id=connection_id, stream=key, state=dict(state), saved_at_ms=now))


@router.post("/get", operation_id="configGetState")
def get_state(caller: Reader, context: ServerContext, body: ConnectionRef) -> Any:
    with context.store.read() as db:
        return exact(state_body(context, db, str(body.connectionId)))


@router.post("/create_or_update_safe", operation_id="configCreateOrUpdateStateSafe")
def create_or_update_state_safe(caller: Editor, context: ServerContext, body: Replace) -> Any:
    """Replace the whole state. 423 while the connection has a job that has not ended."""
    connection_id = str(body.connectionId)
    with context.store.write() as db:
        connection.get(db, connection_id)
        active = context.queue.active(db, connection_id)
        if active is not None:
            raise Problem(
                423,
                f"job {active} of this connection has not ended",
                hint="Wait for its end, or cancel it.",
                jobId=active,
            )
        replace_state(context, db, connection_id, body.connectionState)
        return exact(state_body(context, db, connection_id))


@router.post("/create_or_update", operation_id="configCreateOrUpdateState")
def create_or_update_state(caller: Editor, context: ServerContext, body: Replace) -> Any:
    """Like `create_or_update_safe`: replacing the state of a running sync would lose the state, or records."""
    return create_or_update_state_safe(caller, context, body)

"""The states and figures that jobs keep: saved under a claim, in one transaction with what they cover."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from kitestring.server.jobs.claim import Claim, is_attempt, require
from kitestring.server.jobs.figures import completed_streams, delivered_bytes, delivered_records
from kitestring.server.store import Store
from kitestring.server.store.tables import attempts, connections, jobs, states
from kitestring.types import COUNTS, GLOBAL, State


class JobStates:
    """The part of a queue that keeps states and figures."""

    store: Store

    def states(self, connection_id: str) -> dict[str, State]:
        """The saved states of a connection by stream."""
        with self.store.read() as db:
            return self._states(db, connection_id)

    def counts_of_other_connections(self, connection_id: str) -> dict[str, State]:
        """The engine's counts (`COUNTS`) of the other connections that write to the same destination."""
        with self.store.read() as db:
            place = select(connections.c.destination_id).where(connections.c.id == connection_id).scalar_subquery()
            rows = db.execute(
                select(states.c.connection_id, states.c.state)
                .join(connections, connections.c.id == states.c.connection_id)
                .where(connections.c.destination_id == place, connections.c.id != connection_id)
                .where(states.c.stream == COUNTS)
            )
            return {row.connection_id: row.state for row in rows}

    def completed_streams(self, job_id: int) -> dict[str, str]:
        """The streams that earlier attempts of a job completed, by status: succeeded or suspicious."""
        with self.store.read() as db:
            rows = db.execute(select(attempts.c.streams).where(attempts.c.job_id == job_id).order_by(attempts.c.number))
            return {key: how for (streams,) in rows for key, how in completed_streams(streams or {}).items()}

    def last_reads(self, connection_id: str) -> dict[str, int]:
        """How many records each stream had in the last sync of a connection that ended well."""
        last = select(func.max(jobs.c.id)).where(
            jobs.c.connection_id == connection_id, jobs.c.kind == "sync", jobs.c.status.in_(("succeeded", "suspicious"))
        )
        is_last = (attempts.c.job_id == last.scalar_subquery(), attempts.c.number == jobs.c.attempts)
        query = select(attempts.c.streams).join(jobs, jobs.c.id == attempts.c.job_id).where(*is_last)
        with self.store.read() as db:
            streams = db.execute(query).scalar_one_or_none() or {}
        return {key: figures["read"] for key, figures in streams.items() if figures.get("status") == "succeeded"}

    def save(
        self, claim: Claim, new_states: Mapping[str, State | None], figures: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Save (or with None remove) states by stream together with the figures they cover. `Lost` if the claim is not
        valid.

        `figures` are those of `engine.Coverage.take` for the whole attempt; the job's records grow by the difference.
        One transaction keeps states and figures consistent, whatever is killed when.
        """
        with self.store.write() as db:
            now = self.store.now_ms(db)
            require(db, claim, {"updated_at_ms": now})
            row = db.execute(select(attempts.c.durable, attempts.c.moved).where(*is_attempt(claim))).one()
            before: dict[str, Any] = row.durable or {}
            after = {**before, **figures}
            moved = row.moved or delivered_records(after) > 0 or bool(completed_streams(after))
            for stream, state in sorted(new_states.items()):
                changed = save_state(db, claim.connection_id, stream, state, now)
                moved = moved or (changed and stream != COUNTS)
            if figures or moved is not row.moved:
                db.execute(update(attempts).where(*is_attempt(claim)).values(durable=after, moved=moved))
            if figures:
                growth = {
                    "records": jobs.c.records + delivered_records(after) - delivered_records(before),
                    "nbytes": jobs.c.nbytes + delivered_bytes(after) - delivered_bytes(before),
                }
                db.execute(update(jobs).where(jobs.c.id == claim.job_id).values(growth))

    def forget(self, claim: Claim, streams: Collection[str] | None) -> dict[str, State]:
        """Remove the states of these streams (None: all), once per job; returns the remaining states.

        A later attempt of the job continues from what earlier ones saved since. `Lost` if the claim is not valid.
        """
        with self.store.write() as db:
            now = self.store.now_ms(db)
            require(db, claim, {"updated_at_ms": now})
            options = dict(db.execute(select(jobs.c.options).where(jobs.c.id == claim.job_id)).scalar_one())
            stored = self._states(db, claim.connection_id)
            if options.get("forgotten"):
                return stored
            for stream in list(stored) if streams is None else [stream for stream in streams if stream in stored]:
                save_state(db, claim.connection_id, stream, None, now)
                del stored[stream]
            shared = stored.get(GLOBAL)
            if streams is not None and shared is not None:
                shared_left = without(shared, streams)
                if shared_left != shared:
                    save_state(db, claim.connection_id, GLOBAL, shared_left, now)
                    stored[GLOBAL] = shared_left
            db.execute(update(jobs).where(jobs.c.id == claim.job_id).values(options={**options, "forgotten": True}))
            return stored

    def _states(self, db: Connection, connection_id: str) -> dict[str, State]:
        rows = db.execute(select(states.c.stream, states.c.state).where(states.c.connection_id == connection_id))
        return {row.stream: row.state for row in rows}


def save_state(db: Connection, connection_id: str, stream: str, state: State | None, now: int) -> bool:
    """Save a state, or remove it with None; returns whether it changed."""
    is_state = (states.c.connection_id == connection_id, states.c.stream == stream)
    before = db.execute(select(states.c.state).where(*is_state)).one_or_none()
    if state is None:
        db.execute(states.delete().where(*is_state))
    elif before is not None:
        db.execute(update(states).where(*is_state).values(state=state, saved_at_ms=now))
    else:
        db.execute(insert(states).values(connection_id=connection_id, stream=stream, state=state, saved_at_ms=now))
    return before is None or before.state != state


def without(shared: State, streams: Collection[str]) -> State:
    """A global state of Airbyte's connectors without the parts of these streams."""
    inner = shared.get("global")
    if not isinstance(inner, Mapping) or not isinstance(inner.get("stream_states"), list):
        return shared

    def key(stream_state: Any) -> str:
        named = stream_state.get("stream_descriptor") or {}
        return f"{named['namespace']}.{named.get('name')}" if named.get("namespace") else str(named.get("name"))

    return {
        **shared,
        "global": {**inner, "stream_states": [s for s in inner["stream_states"] if key(s) not in streams]},
    }

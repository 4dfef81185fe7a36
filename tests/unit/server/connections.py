"""Connections for tests of jobs: rows in the store, and plans from what their rows hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import insert, select

from kitestring.engine import Selection
from kitestring.server.context import Context
from kitestring.server.jobs.connection_plan import Endpoint, Plan
from kitestring.server.store.store import new_id
from kitestring.server.store.tables import (
    attempts,
    connections,
    destinations,
    jobs,
    organizations,
    sources,
    workspaces,
)


def workspace(context: Context) -> str:
    """A workspace of its own organization."""
    organization, workspace_id = new_id(), new_id()
    with context.store.write() as db:
        db.execute(insert(organizations).values(id=organization, name="here", email="", created_at_ms=0))
        db.execute(
            insert(workspaces).values(
                id=workspace_id, organization_id=organization, name="here", notifications={}, created_at_ms=0
            )
        )
    return workspace_id


def new_connection(
    context: Context,
    source: Mapping[str, Any],
    destination: Mapping[str, Any],
    streams: list[Mapping[str, Any]],
    *,
    source_connector: str = "sample",
    destination_connector: str = "files",
    workspace_id: str = "",
    options: Mapping[str, Any] | None = None,
) -> str:
    """A connection between two new actors; its id. `streams` are the fields of `Selection`."""
    workspace_id = workspace_id or workspace(context)
    ids = {"source": new_id(), "destination": new_id(), "connection": new_id()}
    both = {"workspace_id": workspace_id, "definition_id": "", "created_at_ms": 0, "updated_at_ms": 0, "name": "one"}
    both["trusted"] = True
    with context.store.write() as db:
        db.execute(insert(sources).values(id=ids["source"], connector=source_connector, config=dict(source), **both))
        db.execute(
            insert(destinations).values(
                id=ids["destination"], connector=destination_connector, config=dict(destination), **both
            )
        )
        db.execute(
            insert(connections).values(
                id=ids["connection"],
                workspace_id=workspace_id,
                name="one",
                source_id=ids["source"],
                destination_id=ids["destination"],
                status="active",
                schedule={"type": "manual"},
                namespace_definition="source",
                prefix="",
                schema_policy="ignore",
                streams=[dict(stream) for stream in streams],
                options=dict(options or {}),
                created_at_ms=0,
                updated_at_ms=0,
            )
        )
    return ids["connection"]


def plan_of(context: Context, connection_id: str) -> Plan:
    """The plan of such a connection."""
    with context.store.read() as db:
        row = db.execute(select(connections).where(connections.c.id == connection_id)).one()
        source = db.execute(select(sources).where(sources.c.id == row.source_id)).one()
        destination = db.execute(select(destinations).where(destinations.c.id == row.destination_id)).one()
    return Plan(
        connection_id,
        row.workspace_id,
        Endpoint(
            source.connector,
            context.secret_box.open_config(source.config, source.id),
            source.id,
            manifest_at(source.connector),
            trusted=True,
        ),
        Endpoint(
            destination.connector,
            context.secret_box.open_config(destination.config, destination.id),
            destination.id,
            trusted=True,
        ),
        tuple(Selection(**stream) for stream in row.streams),
        catalog=row.catalog,
        **row.options,
    )


def manifest_at(connector: str) -> Any:
    """The manifest in a file that a test names as the connector, by its values: to a server no name is a path."""
    return yaml.safe_load(Path(connector).read_text()) if connector.endswith(".yaml") else None


def enqueue(context: Context, connection_id: str, kind: str = "sync", **options: Any) -> int:
    with context.store.write() as db:
        return context.queue.enqueue(db, connection_id, kind, options=options)


def job(context: Context, job_id: int) -> Any:
    with context.store.read() as db:
        return db.execute(select(jobs).where(jobs.c.id == job_id)).one()


def attempts_of(context: Context, job_id: int) -> list[Any]:
    with context.store.read() as db:
        return list(db.execute(select(attempts).where(attempts.c.job_id == job_id).order_by(attempts.c.number)))


def ended(context: Context, job_id: int, within_s: float = 600.0) -> Any:
    """The job's row when it has ended."""
    return until(lambda: job(context, job_id), lambda row: row.ended_at_ms is not None, within_s)


def until(look: Callable[[], Any], fits: Callable[[Any], bool], within_s: float = 600.0) -> Any:
    """What `look` finds as soon as it fits; fails with the last when it never does."""
    end = time.monotonic() + within_s
    while True:
        value = look()
        if fits(value):
            return value
        assert time.monotonic() < end, f"not within {within_s} s: {value}"
        time.sleep(0.05)


def lines(folder: Path) -> int:
    """How many records the files of a folder hold."""
    return sum(path.read_bytes().count(b"\n") for path in folder.rglob("*.jsonl"))

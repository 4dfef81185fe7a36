"""Reads of a destination for people and programs: a search, rows, chunks. Every route that reads passes here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from kitestring import registry
from kitestring.errors import KitestringError
from kitestring.server.auth.principal import Principal
from kitestring.server.connections import endpoints
from kitestring.server.connections.exclusive_place import exclusive_place
from kitestring.server.context import Context
from kitestring.server.jobs.connection_plan import Endpoint
from kitestring.server.retrieval.reader_permission import permission_for
from kitestring.server.secrets.secret_box import is_reference
from kitestring.server.store.tables import connections, jobs

LIMIT_S = 60.0


def read_destination(
    context: Context, caller: Principal, destination_id: str, action: str, request: Mapping[str, Any]
) -> Any:
    """The value of an action that reads (`child/search_calls.py`), with the rows that the caller may see. A vector
    store is read by the search process of its workspace, where models and connections stay open; any other destination
    by a process of its own."""
    with context.store.read() as db:
        permission = permission_for(endpoints.get(db, "destination", destination_id), caller)
        end = endpoints.endpoint_of(context, db, "destination", destination_id)
        generation = last_write(db, destination_id)
    place = exclusive_place(context, end)
    request = {**request, "destination": end.body(), "permission": permission}
    if not context.settings.search_processes or not stays_open(end, context.settings.allow_private_hosts):
        return context.runner.run(action, request, limit_s=LIMIT_S, place=place)
    return context.searches.run(
        action, request, destination_id=destination_id, generation=generation, limit_s=LIMIT_S, place=place
    )


def last_write(db: Connection, destination_id: str) -> str | None:
    """The last job that wrote at a destination, as far as it has come; None while it runs."""
    query = (
        select(jobs.c.id, jobs.c.status, jobs.c.epoch)
        .join(connections, connections.c.id == jobs.c.connection_id)
        .where(connections.c.destination_id == destination_id)
        .order_by(jobs.c.id.desc())
    )
    rows = list(db.execute(query.limit(1)))
    if db.execute(query.where(jobs.c.status == "running").limit(1)).first() is not None:
        return None
    return f"{rows[0].id} {rows[0].status} {rows[0].epoch}" if rows else ""


def stays_open(end: Endpoint, private_hosts: bool) -> bool:
    """Whether a search process may read a destination: a vector store. On a hardened server the credentials of the
    machine are visible while a reference is looked up; no other call may run in the process meanwhile."""
    try:
        searchable = registry.connector("destination", end.connector, files=False).facts().searchable
    except KitestringError:  # the process of the action says what is wrong
        return False
    return searchable and (private_hosts or not has_reference(end.config))


def has_reference(node: Any) -> bool:
    """Whether any value of a configuration has the form of a reference to a secret."""
    if isinstance(node, Mapping):
        return any(map(has_reference, node.values()))
    if isinstance(node, list | tuple):
        return any(map(has_reference, node))
    return is_reference(node)

"""Every route of the application, found by asking it: none answers without credentials, or with too small a role."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from kitestring.server.app import create_app
from kitestring.server.auth import user
from kitestring.server.auth.access import needs_credentials
from kitestring.server.auth.principal import Role
from kitestring.server.auth.resources import KINDS, UNSCOPED_IDS, normalized
from kitestring.server.context import Context
from kitestring.server.store.store import new_id
from tests.unit.server.tenants import Browser, Tenant, admin

pytestmark = pytest.mark.slow

BELOW = {
    Role.reader: "",
    Role.runner: "workspace_reader",
    Role.editor: "workspace_runner",
    Role.admin: "workspace_editor",
}
OTHER_PARAMETERS = frozenset(
    {"actortype", "name", "connector", "digest", "kind", "stream", "number", "attempt", "path", "version"}
)
"""Parts of a path that name nothing of a workspace: a connector that comes with Kitestring, an attempt's number."""


def routes(app: Any) -> Iterator[tuple[str, str, Callable[..., Any] | None]]:
    """Method, path and what asks for the role, of every route; None where nothing does."""
    for context in iter_route_contexts(app.routes):
        if not isinstance(context.original_route, APIRoute):
            continue
        for method in sorted(context.methods or ()):
            yield method, str(context.path), asker(context.dependant)


def asker(dependant: Dependant) -> Callable[..., Any] | None:
    """The dependency of `access.py` among those of a route."""
    for dependency in dependant.dependencies:
        if hasattr(dependency.call, "role"):
            return dependency.call
        requester = asker(dependency)
        if requester is not None:
            return requester
    return None


def filled(path: str, ids: dict[str, str]) -> str:
    """A path with an id for each of its parameters; a name that nobody has declared is an error."""

    def value(match: re.Match[str]) -> str:
        name = normalized(match[1])
        if name in ids:
            return ids[name]
        assert name in UNSCOPED_IDS | OTHER_PARAMETERS, (
            f"{path}: access.py does not know {match[1]}. Add its kind to auth/named.py, so that its workspace is "
            "found; or declare here that it names nothing of a workspace."
        )
        return "1" if name in ("number", "attempt", "version") else new_id()

    return re.sub(r"\{(\w+)(?::\w+)?\}", value, path)


def ids_of(tenant: Tenant) -> dict[str, str]:
    """An id for each name that `named.py` knows."""
    with tenant.context.store.write() as db:
        job = tenant.context.queue.enqueue(db, tenant.connection_id, "sync")
        permission = user.Grant("workspace_reader", tenant.workspace_id)
        user.add(db, f"holder@{tenant.name}.example", None, 1, grants=(permission,))
    kinds = {
        "workspace": tenant.workspace_id,
        "organization": tenant.organization_id,
        "source": tenant.source_id,
        "destination": tenant.destination_id,
        "connection": tenant.connection_id,
        "job": str(job),
        "tag": tenant.tag_id,
        "definition": tenant.definition_id,
        "permission": permission.id,
        "builder_project": tenant.project_id,
    }
    return {name: kinds[kind] for name, kind in KINDS.items()}


@pytest.fixture
def tenant(context: Context) -> Tenant:
    admin(context)
    return Tenant.make(context, "acme")


def call(client: Browser, method: str, path: str) -> int:
    body = None if method in ("GET", "HEAD", "DELETE") else {}
    return client.request(method, path, json=body, follow_redirects=False).status_code


def test_no_route_answers_without_credentials(tenant: Tenant) -> None:
    ids = ids_of(tenant)
    client = Browser(tenant.context)
    seen = 0
    for method, path, role in routes(create_app(tenant.context)):
        where = filled(path, ids)
        if needs_credentials(path):
            seen += 1
            assert role is not None, f"{method} {path} names no role: give its handler `who: Reader` or another"
            assert call(client, method, where) == 401, f"{method} {path}"
            for wrong in ("Bearer nonsense", "Basic bm9ib2R5OndvcmQ=", "Digest x"):
                answer = client.request(method, where, headers={"Authorization": wrong}, follow_redirects=False)
                assert answer.status_code == 401, f"{method} {path} with {wrong}"
        else:
            assert role is None, f"{method} {path} is open and asks for a role: it would never get one"
    assert seen > 20


def test_no_route_answers_with_too_small_a_role(tenant: Tenant) -> None:
    ids = ids_of(tenant)
    context = tenant.context
    clients = {kind: Browser(context, tenant.member(kind)) for kind in BELOW.values()}
    elsewhere = Browser(context, Tenant.make(context, "globex").member("workspace_admin"))
    for method, path, requests in routes(create_app(context)):
        if requests is None:
            continue
        where = filled(path, ids)
        if getattr(requests, "instance", False):
            # Even an admin of a workspace is not one of the server.
            assert call(elsewhere, method, where) == 403, f"{method} {path} by an admin of a workspace"
        role = getattr(requests, "role", None)
        if role is None:
            continue
        for lower in [below for above, below in BELOW.items() if above <= role]:
            assert call(clients[lower], method, where) == 403, f"{method} {path} by {lower or 'nobody'}"
        if any(normalized(name) in KINDS for name in re.findall(r"\{(\w+)", path)):
            assert call(elsewhere, method, where) == 403, f"{method} {path} by an admin of another workspace"


def test_whoever_runs_jobs_may_not_clear_what_is_there_by_any_api(tenant: Tenant) -> None:
    runner, editor = (Browser(tenant.context, tenant.member(f"workspace_{role}")) for role in ("runner", "editor"))
    of = {"connectionId": tenant.connection_id}
    calls = [("/v1/jobs", {**of, "jobType": word}) for word in ("clear", "reset")]
    calls += [(f"/api/v1/connections/{word}", of) for word in ("clear", "reset")]
    calls += [(f"/api/kitestring/v1/connections/{tenant.connection_id}/clear", {})]
    for path, body in calls:
        assert runner.post(path, json=body).status_code == 403, path
    assert runner.post("/v1/jobs", json={**of, "jobType": "sync"}).status_code == 200
    assert editor.post(*calls[0][:1], json=calls[0][1]).status_code == 409  # the sync has not ended


def test_everything_under_an_api_is_closed_unless_it_is_declared_open(tenant: Tenant) -> None:
    client = Browser(tenant.context)
    for path in ("/api", "/api/kitestring/v1/nothing", "/v1/sources/x", "/metrics", "/api/v1/workspaces/list"):
        assert client.get(path).status_code == 401, path
    assert client.get("/v1/health").status_code == 200
    assert client.get("/api/openapi.json").status_code == 200


def test_ids_of_another_workspace_in_a_body_are_refused_by_every_route(tenant: Tenant) -> None:
    other = Tenant.make(tenant.context, "globex")
    mine, theirs = ids_of(tenant), ids_of(other)
    client = Browser(tenant.context, tenant.member("workspace_admin"))
    names = {"workspaceId": "workspaceid", "sourceId": "sourceid", "destination_id": "destinationid"}
    names |= {"connectionId": "connectionid", "definitionId": "definitionid", "organizationId": "organizationid"}
    body = {name: theirs[key] for name, key in names.items()} | {"tags": [{"tagId": theirs["tagid"]}]}
    bodies = itertools.cycle({name: value} for name, value in body.items())
    for method, path, requests in routes(create_app(tenant.context)):
        if getattr(requests, "role", None) is None or method in ("GET", "HEAD", "DELETE"):
            continue
        item = next(bodies)
        answer = client.request(method, filled(path, mine), json=item, follow_redirects=False)
        assert answer.status_code == 403, f"{method} {path} with {list(item)}: {answer.text[:200]}"

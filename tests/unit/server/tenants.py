"""Two workspaces with one of everything, and users with each role: for tests of who may do what."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastapi.testclient import TestClient

from kitestring.server.app import create_app
from kitestring.server.auth import user
from kitestring.server.context import Context
from kitestring.server.store import tables
from kitestring.server.store.store import new_id
from tests.unit.server.documented import documented

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Tenant:
    """A workspace in an organization of its own, with one of everything. `ids` by the name of the path parameter."""

    context: Context
    name: str
    organization_id: str = field(default_factory=new_id)
    workspace_id: str = field(default_factory=new_id)
    source_id: str = field(default_factory=new_id)
    destination_id: str = field(default_factory=new_id)
    connection_id: str = field(default_factory=new_id)
    tag_id: str = field(default_factory=new_id)
    definition_id: str = field(default_factory=new_id)
    project_id: str = field(default_factory=new_id)

    @classmethod
    def make(cls, context: Context, name: str) -> Tenant:
        item = cls(context, name)
        with context.store.write() as db:
            db.execute(
                tables.organizations.insert().values(
                    id=item.organization_id, name=name, email=f"{name}@example.com", created_at_ms=1
                )
            )
            db.execute(
                tables.workspaces.insert().values(
                    id=item.workspace_id,
                    organization_id=item.organization_id,
                    name=name,
                    notifications={},
                    created_at_ms=1,
                )
            )
            for table, key in ((tables.sources, item.source_id), (tables.destinations, item.destination_id)):
                db.execute(
                    table.insert().values(
                        id=key,
                        workspace_id=item.workspace_id,
                        name=name,
                        definition_id=item.definition_id,
                        connector="sample",
                        config={},
                        created_at_ms=1,
                        updated_at_ms=1,
                    )
                )
            db.execute(
                tables.connections.insert().values(
                    id=item.connection_id,
                    workspace_id=item.workspace_id,
                    name=name,
                    source_id=item.source_id,
                    destination_id=item.destination_id,
                    status="active",
                    schedule={"type": "manual"},
                    namespace_definition="destination",
                    prefix="",
                    schema_policy="ignore",
                    streams=[],
                    options={},
                    created_at_ms=1,
                    updated_at_ms=1,
                )
            )
            db.execute(
                tables.tags.insert().values(id=item.tag_id, workspace_id=item.workspace_id, name=name, color="FFFFFF")
            )
            db.execute(
                tables.definitions.insert().values(
                    id=item.definition_id,
                    workspace_id=item.workspace_id,
                    kind="source",
                    name=name,
                    manifest={},
                    version=1,
                    created_at_ms=1,
                )
            )
            db.execute(
                tables.builder_projects.insert().values(
                    id=item.project_id,
                    workspace_id=item.workspace_id,
                    name=name,
                    draft="",
                    config={},
                    origin={"kind": "empty", "name": "", "version": ""},
                    revision=1,
                    created_at_ms=1,
                    updated_at_ms=1,
                )
            )
        return item

    def member(self, permission_type: str) -> str:
        """The e-mail address of a new user with this permission here, or of one without any for ""."""
        email = f"{permission_type or 'nobody'}-{new_id()[:8]}@{self.name}.example"
        scope = "organization_id" if permission_type.startswith("organization") else "workspace_id"
        grants = (
            [user.Grant(permission_type, **{scope: getattr(self, scope)})] if permission_type else []
        )  # fmt: skip
        with self.context.store.write() as db:
            user.add(db, email, None, 1, grants=tuple(grants))
        return email


class Browser(TestClient):
    """A client of the application that speaks for one user by a token, made without the slow password."""

    def __init__(self, context: Context, email: str | None = None) -> None:
        super().__init__(create_app(context), raise_server_exceptions=True)
        documented(self)
        if email:
            from kitestring.server.auth import application
            from kitestring.server.auth.token import Claim, issue_token

            with context.store.write() as db:
                row = user.by_email(db, email)
                assert row is not None
                created, _ = application.create(db, row.id, "test", 1)
            self.headers["Authorization"] = f"Bearer {issue_token(context.secret_box, Claim(created.id, row.id), 900)}"


def admin(context: Context, password: str | None = None) -> str:
    """The first user of a server. Without a password none is hashed, which is slow on purpose."""
    with context.store.write() as db:
        user.add(db, "root@example.com", password, 1)
    return "root@example.com"

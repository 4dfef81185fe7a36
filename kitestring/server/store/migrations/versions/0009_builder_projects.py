"""Projects of the connector builder, and versions of low-code sources"""

from __future__ import annotations

import json
import uuid
from typing import Any

import sqlalchemy as sa
import yaml
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

OF_PROJECT_FILE = " (project)"
"""Ends the names of connectors that a project file manages: they are edited there."""


def upgrade() -> None:
    projects = op.create_table(
        "builder_projects",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("workspace_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("icon", sa.Text(), server_default="", nullable=False),
        sa.Column("draft", sa.Text(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("origin", sa.JSON(), nullable=False),
        sa.Column("definition_id", sa.String(length=36), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.Text(), server_default="", nullable=False),
        sa.Column("updated_by", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_builder_projects_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_builder_projects")),
    )
    op.create_index("ix_builder_projects_definition_id", "builder_projects", ["definition_id"], unique=False)
    op.create_index("ix_builder_projects_workspace_id", "builder_projects", ["workspace_id"], unique=False)
    versions = op.create_table(
        "connector_versions",
        sa.Column("definition_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("breaking", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_by", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["definition_id"], ["definitions.id"], name=op.f("fk_connector_versions_definition_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("definition_id", "version", name=op.f("pk_connector_versions")),
    )
    with op.batch_alter_table("definitions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("icon", sa.Text(), server_default="", nullable=False))
    with op.batch_alter_table("sources", schema=None) as batch_op:
        batch_op.add_column(sa.Column("connector_version", sa.Integer(), nullable=True))
    open_connectors(op.get_bind(), versions, projects)


def open_connectors(db: sa.Connection, versions: sa.Table, projects: sa.Table) -> None:
    """Each low-code source that is there gets its version, and a project in which it can be edited."""
    names = ("id", "workspace_id", "kind", "name", "manifest", "version", "created_at_ms", "deleted_at_ms")
    rows = db.execute(sa.text(f"SELECT {', '.join(names)} FROM definitions WHERE kind = 'source'")).all()  # noqa: S608
    for row in rows:
        manifest = json.loads(row.manifest) if isinstance(row.manifest, str) else row.manifest
        if manifest is None:
            continue
        text = yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=120)
        version = {"definition_id": row.id, "version": row.version, "manifest": text}
        db.execute(versions.insert().values(**version, created_at_ms=row.created_at_ms))
        if row.deleted_at_ms is None and not row.name.endswith(OF_PROJECT_FILE):
            db.execute(projects.insert().values(**project_of(row, text)))


def project_of(row: Any, text: str) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "workspace_id": row.workspace_id,
        "name": row.name,
        "draft": text,
        "config": {},
        "origin": {"kind": "manifest", "name": "", "version": ""},
        "definition_id": row.id,
        "revision": 1,
        "created_at_ms": row.created_at_ms,
        "updated_at_ms": row.created_at_ms,
    }


def downgrade() -> None:
    raise NotImplementedError("a store is not taken back: restore the backup")

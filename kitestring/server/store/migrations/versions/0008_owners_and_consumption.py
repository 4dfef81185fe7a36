"""Who created a resource, and what its jobs moved and cost by day"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

AUDIT = sa.table("audit", *map(sa.column, ("id", "actor", "action", "kind", "resource_id")))
SUMS = ("jobs", "failed", "read", "written", "bytes", "chunks", "tokens", "unpriced_tokens", "cost_usd")


def upgrade() -> None:
    for name in ("sources", "destinations", "connections"):
        with op.batch_alter_table(name, schema=None) as batch_op:
            batch_op.add_column(sa.Column("created_by", sa.Text(), server_default="", nullable=False))
        # The audit log knows the actors of what was created within its time.
        own = sa.table(name, sa.column("id"), sa.column("created_by"))
        creations = sa.select(AUDIT.c.actor).where(
            AUDIT.c.kind == name.removesuffix("s"), AUDIT.c.action == "create", AUDIT.c.resource_id == own.c.id
        )
        actor = creations.order_by(AUDIT.c.id).limit(1).scalar_subquery()
        op.execute(own.update().values(created_by=sa.func.coalesce(actor, "")))
    table = op.create_table(
        "consumption",
        sa.Column("connection_id", sa.String(length=36), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("workspace_id", sa.String(length=36), nullable=False),
        sa.Column("jobs", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in SUMS[2:-1]),
        sa.Column("cost_usd", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("connection_id", "day", name=op.f("pk_consumption")),
    )
    op.create_index("ix_consumption_workspace", "consumption", ["workspace_id", "day"], unique=False)
    rows = list(of_ended_jobs(op.get_bind()).values())
    for place in range(0, len(rows), 500):
        op.bulk_insert(table, rows[place : place + 500])


def of_ended_jobs(db: sa.Connection) -> dict[tuple[str, str], dict[str, Any]]:
    """The sums of the jobs that are still kept, by connection and day."""
    days: dict[tuple[str, str], dict[str, Any]] = {}
    counted: dict[tuple[str, str], set[int]] = defaultdict(set)
    # An option of the statement: one of the connection would stay, and what is inserted later has no cursor to stream.
    rows = db.execute(
        sa.text(
            "SELECT jobs.id, jobs.connection_id, jobs.workspace_id, jobs.status, jobs.ended_at_ms, attempts.streams "
            "FROM jobs LEFT JOIN attempts ON attempts.job_id = jobs.id WHERE jobs.ended_at_ms IS NOT NULL"
        ),
        execution_options={"stream_results": True},
    )
    for row in rows:
        day = datetime.fromtimestamp(row.ended_at_ms / 1000, UTC).date().isoformat()
        key = (row.connection_id, day)
        own = {"connection_id": row.connection_id, "day": day, "workspace_id": row.workspace_id}
        sums = days.setdefault(key, {**own, **dict.fromkeys(SUMS, 0)})
        if row.id not in counted[key]:
            counted[key].add(row.id)
            sums["jobs"] += 1
            sums["failed"] += row.status == "failed"
        streams = json.loads(row.streams) if isinstance(row.streams, str) else row.streams
        for stream in (streams or {}).values():
            add(sums, stream)
    return days


def add(sums: dict[str, Any], stream: Mapping[str, Any]) -> None:
    figures = stream.get("figures") or {}
    for name in ("read", "written", "bytes"):
        sums[name] += stream.get(name) or 0
    tokens = int(figures.get("tokens") or 0)
    sums["chunks"] += int(figures.get("chunks_embedded") or 0)
    sums["tokens"] += tokens
    sums["unpriced_tokens"] += 0 if "cost_usd" in figures else tokens
    sums["cost_usd"] += figures.get("cost_usd") or 0


def downgrade() -> None:
    raise NotImplementedError("a store is not taken back: restore the backup")

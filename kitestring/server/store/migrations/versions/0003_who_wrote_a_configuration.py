"""Who wrote a configuration, and the end of what was in deleted workspaces"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KINDS = {"sources": "source", "destinations": "destination"}
OPERATOR = ("anybody", "kitestring apply")
"""Who acted while no user was configured, and the command line on the data folder."""


def upgrade() -> None:
    for name in KINDS:
        with op.batch_alter_table(name, schema=None) as batch_op:
            batch_op.add_column(sa.Column("trusted", sa.Boolean(), server_default=sa.false(), nullable=False))
    db = op.get_bind()
    trust(db)
    end_deleted_workspaces(db)


def trust(db: Any) -> None:
    """What the audit log shows to be written by an admin of the instance is trusted; without users, everything is.

    The log names a user by the e-mail address, and an application of one as `address (name)`.
    """
    emails = list(
        db.execute(
            sa.text(
                "SELECT u.email FROM users u JOIN permissions p ON p.user_id = u.id "
                "WHERE p.permission_type = 'instance_admin'"
            )
        ).scalars()
    )
    users = db.execute(sa.text("SELECT count(*) FROM users")).scalar_one()

    def by_admin(kind: str, resource_id: str) -> bool:
        """Whether an admin was the last to change more than the name."""
        rows = db.execute(
            sa.text(
                "SELECT actor, changes FROM audit WHERE kind = :kind AND resource_id = :id ORDER BY id DESC"
            ).columns(changes=sa.JSON),
            {"kind": kind, "id": resource_id},
        )
        for actor, changes in rows:
            if any(field not in ("name", "origin", "deleted_at_ms") for field in changes):
                return actor in (*OPERATOR, *emails) or any(actor.startswith(f"{email} (") for email in emails)
        return False

    custom = set(db.execute(sa.text("SELECT id FROM definitions")).scalars())
    for table, kind in KINDS.items():
        rows = db.execute(sa.text(f"SELECT id, definition_id FROM {table}")).all()  # noqa: S608 - a name of ours
        for actor_id, definition_id in rows:
            own = definition_id not in custom or by_admin("definition", definition_id)
            if not users or (own and by_admin(kind, actor_id)):
                db.execute(
                    sa.text(f"UPDATE {table} SET trusted = :yes WHERE id = :id"),  # noqa: S608 - a name of ours
                    {"yes": True, "id": actor_id},
                )


def end_deleted_workspaces(db: Any) -> None:
    """Delete what was left in workspaces that were deleted before deleting one ended all of it."""
    gone = "(SELECT id FROM workspaces WHERE deleted_at_ms IS NOT NULL)"
    when = "(SELECT deleted_at_ms FROM workspaces w WHERE w.id = workspace_id)"
    for table in ("sources", "destinations", "definitions"):
        db.execute(
            sa.text(
                f"UPDATE {table} SET deleted_at_ms = {when} "  # noqa: S608 - names of ours
                f"WHERE deleted_at_ms IS NULL AND workspace_id IN {gone}"
            )
        )
    db.execute(
        sa.text(
            f"UPDATE connections SET deleted_at_ms = {when}, status = 'deprecated', next_run_at_ms = NULL "  # noqa: S608
            f"WHERE deleted_at_ms IS NULL AND workspace_id IN {gone}"
        )
    )
    db.execute(
        sa.text(
            f"UPDATE jobs SET cancel = :yes, status = CASE WHEN status = 'running' THEN status ELSE 'cancelled' END "  # noqa: S608
            f"WHERE status IN ('pending', 'running', 'incomplete') AND workspace_id IN {gone}"
        ),
        {"yes": True},
    )
    for table in ("tags", "permissions", "notices"):
        db.execute(sa.text(f"DELETE FROM {table} WHERE workspace_id IN {gone}"))  # noqa: S608 - names of ours
    db.execute(sa.text(f"DELETE FROM oauth_credentials WHERE scope_id IN {gone}"))  # noqa: S608 - names of ours


def downgrade() -> None:
    raise NotImplementedError("a store is not taken back: restore the backup")

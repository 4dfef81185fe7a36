"""The replication slots of connections"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "replication_slots",
        sa.Column("connection_id", sa.String(length=36), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("created", sa.Boolean(), nullable=False),
        sa.Column("marks", sa.JSON(), nullable=False),
        sa.Column("reported_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("inactive_since_ms", sa.BigInteger(), nullable=True),
        sa.Column("alert", sa.String(length=16), server_default="", nullable=False),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.Column("removal", sa.JSON(), nullable=True),
        sa.Column("look_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name=op.f("fk_replication_slots_connection_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("connection_id", name=op.f("pk_replication_slots")),
    )
    op.create_index("ix_replication_slots_look_at_ms", "replication_slots", ["look_at_ms"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("a store is not taken back: restore the backup")

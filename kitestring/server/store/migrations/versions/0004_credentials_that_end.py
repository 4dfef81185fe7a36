"""Who renews credentials now, and when credentials end"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("sources", "destinations"):
        with op.batch_alter_table(name, schema=None) as batch_op:
            batch_op.add_column(sa.Column("credential_ends", sa.JSON(), nullable=True))
    op.create_table(
        "renewals",
        sa.Column("actor_id", sa.String(length=36), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("actor_id"),
    )


def downgrade() -> None:
    raise NotImplementedError("a store is not taken back: restore the backup")

"""Permissions of readers"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("destinations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("reader_permission", sa.JSON(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("a store is not taken back: restore the backup")

"""The last test of each source and destination"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("sources", "destinations"):
        with op.batch_alter_table(name, schema=None) as batch_op:
            batch_op.add_column(sa.Column("last_check", sa.JSON(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("a store is not taken back: restore the backup")

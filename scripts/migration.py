"""Write the migration that takes the store from its last migration to `server/store/tables.py`.

    python scripts/migration.py 0002 "what it is for"

Until the first release there is one migration, which is written again (`… migration.py 0001 "The first store"`).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config

from kitestring.server.store import Store
from kitestring.server.store.upgrade import MIGRATIONS


def main() -> None:
    revision, message = sys.argv[1:]
    for old in (MIGRATIONS / "versions").glob(f"{revision}_*.py"):
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder) / 'store.sqlite'}")
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with store.engine.connect() as db:
            config.attributes["connection"] = db
            command.upgrade(config, "head")
            command.revision(config, message=message, autogenerate=True, rev_id=revision)
        store.close()
    for tool in (["check", "--fix-only", "-q"], ["format", "-q"]):
        subprocess.run([sys.executable, "-m", "ruff", *tool, str(MIGRATIONS)], check=True)


if __name__ == "__main__":
    main()

"""Writes kitestring/airbyte/catalog.json, the shipped index, from a connector registry: facts alone, no prose.

`.venv/bin/python scripts/airbyte_catalog.py [URL]`: the URL is that of the registry's `files`, Airbyte's by default.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from kitestring.airbyte.connector_index import SHIPPED, difference, index, index_text
from kitestring.airbyte.registry_client import RegistryClient

if __name__ == "__main__":
    before = index().entries
    entries = [
        replace(entry, changes=()) for entry in RegistryClient(sys.argv[1] if len(sys.argv) > 1 else "").entries()
    ]
    SHIPPED.write_text(index_text(entries), "utf-8")
    changes = difference(before, entries)
    sys.stdout.write(
        f"{len(entries)} connectors, {SHIPPED.stat().st_size:,} bytes: "
        f"{len(changes.added)} new, {len(changes.removed)} gone, {len(changes.changed)} with another version\n"
    )

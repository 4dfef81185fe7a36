"""Writes the tables of docs/reference/connectors.md from what the connectors declare:
`.venv/bin/python scripts/connector_reference.py`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from kitestring import registry

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "connectors.md"
TABLE = re.compile(r"<!-- (source|destination)s -->\n(?:(?:\|.*)?\n)*")
MANIFEST = (
    "| a manifest | its path | | what an Airbyte low-code manifest describes; see"
    " [Run an Airbyte manifest](../howto/airbyte-manifest.md) | nothing more |\n"
)


def written(text: str) -> str:
    """The page with new tables."""
    return TABLE.sub(lambda match: f"<!-- {match[1]}s -->\n\n{table(match[1])}\n", text)


def table(kind: registry.Kind) -> str:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    rows = []
    for connector in registry.connectors(kind):
        if connector.entry_point is not None:
            continue
        facts = connector.facts()
        extra = facts.extra or connector.name
        install = f"`kitestring[{extra}]`" if extra in extras else "nothing more"
        page = f"[{facts.title}]({kind}s/{connector.name}.md)"
        cells = (page, f"`{connector.name}`", facts.category, facts.summary, install)
        rows.append((facts.category, connector.name, f"| {' | '.join(cells)} |\n"))
    verb = {"source": "reads", "destination": "writes"}[kind]
    head = f"| {kind} | name | category | {verb} | install |\n|---|---|---|---|---|\n"
    return head + "".join(row for *_, row in sorted(rows)) + (MANIFEST if kind == "source" else "")


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")

"""The programs that stand for foreign connectors: each says what its configuration tells it to."""

from __future__ import annotations

import sys
from pathlib import Path

PROGRAMS = Path(__file__).parents[1] / "unit" / "airbyte"
PYTHON = [sys.executable, "-I", "-S"]
SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}, "text": {"type": "string"}}}

"""The command line: one file per command group; `command_line.py` assembles. Heavy imports stay inside the commands."""

from __future__ import annotations

import sys


def main() -> None:
    """The `kitestring` command."""
    if sys.argv[1:3] == ["airbyte", "manifest"]:
        # Platforms start this command for every action, and it parses its own arguments: Typer is not loaded.
        from kitestring.airbyte import manifest_command

        sys.exit(manifest_command.main(sys.argv[3:]))
    from kitestring.cli.command_line import app

    app(prog_name="kitestring")

"""The command line: one file per command group; `app.py` assembles. Heavy imports stay inside the commands."""

from __future__ import annotations


def main() -> None:
    """The `kitestring` command."""
    from kitestring.cli.app import app

    app(prog_name="kitestring")

"""Writes docs/reference/cli.md from the commands' own help: `.venv/bin/python scripts/cli_reference.py`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from typer.main import get_command
from typer.testing import CliRunner

from kitestring.cli.command_line import app

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "cli.md"
HEAD = """\
# The command line

<!-- Written by scripts/cli_reference.py from the commands' own help. -->

`kitestring COMMAND --help` shows the help of a command. `--project`, `--debug`, `--log-level` and `--log-format` can be
anywhere on the command line.

## Exit codes

| code | meaning |
|---|---|
| 0 | succeeded |
| 1 | failed: a stream or a whole sync; a retry may help |
| 2 | refused: usage, configuration or credentials; change something before a retry |
| 3 | suspicious: everything ran, but two numbers disagree, or a response is unexpected |
| 130 | cancelled by Ctrl-C or SIGTERM; durable records stay, and the next sync continues |

With several connections, the command exits with the most severe code: 130, then 1, 2, 3. A second Ctrl-C (or SIGTERM,
then 143) ends at once.

## Output and files

Results go to stdout, everything else (progress, log, errors) to stderr. If stderr is not a terminal, progress and log
are JSON lines. An error has two lines: the problem and the next action. `--debug` adds the traceback. Options that a
connector marks as secret are always masked.

State and rejected records are in `.kitestring/` beside the project file (without one: in the working folder),
or in `KITESTRING_HOME`.
"""


def commands() -> Iterator[list[str]]:
    """Every command by its words, in the order of `--help`."""

    def walk(command: object, words: list[str]) -> Iterator[list[str]]:
        inner = getattr(command, "commands", None)
        if words:
            yield words
        for name in inner or {}:
            yield from walk(inner[name], [*words, name])

    yield from walk(get_command(app), [])


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    os.environ.update(COLUMNS="110", TERMINAL_WIDTH="110")
    for words in commands():
        if words == ["airbyte", "manifest"]:  # it has a command line of its own: docs/reference/manifests.md
            continue
        out = CliRunner().invoke(app, [*words, "--help"], prog_name="kitestring").stdout
        text = "\n".join(line.rstrip() for line in out.strip().splitlines())
        text = re.sub(r"\n{3,}", "\n\n", text)
        parts.append(f"{'#' * (len(words) + 1)} kitestring {' '.join(words)}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

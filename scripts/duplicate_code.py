"""Finds repeated code: 12 or more identical lines in two files, by pylint's duplicate-code.

    python scripts/duplicate_code.py [FOLDER]    # default: the package; exit code 1 and the pairs where there are some

Imports, docstrings, comments and signatures do not count. Declarations may be alike: `ALLOWED` lists such pairs, each
with its reason.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINES = 12
"""(pylint reports what has more lines than its `min-similarity-lines`.)"""
ALLOWED: dict[frozenset[str], str] = {}
"""Pairs of modules (`kitestring.a`, `kitestring.b`) whose declarations are alike, and why they are not one."""
PLACE = re.compile(r"^==([\w.]+):\[\d+:\d+\]$", re.M)


def duplicates(folder: Path) -> list[str]:
    """What pylint reports, a text for each pair that is not allowed."""
    command = [
        *(sys.executable, "-m", "pylint", "--rcfile=/dev/null", "--score=no", "--disable=all"),
        *("--enable=duplicate-code", f"--min-similarity-lines={LINES - 1}", "--ignore-imports=yes"),
        *("--ignore-docstrings=yes", "--ignore-comments=yes", "--ignore-signatures=yes", str(folder)),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode & ~8:  # 8: there are messages of refactoring, these
        raise SystemExit(f"pylint failed with {run.returncode}: {run.stdout}{run.stderr}")
    reports = re.split(r"^.*R0801: ", run.stdout, flags=re.M)[1:]
    return [report.strip() for report in reports if frozenset(PLACE.findall(report)) not in ALLOWED]


def main(arguments: list[str]) -> int:
    reports = duplicates(Path(arguments[0]) if arguments else ROOT / "kitestring")
    if reports:
        sys.stdout.write("\n\n".join([*reports, f"{len(reports)} times {LINES} identical lines stand in two files."]))
        sys.stdout.write("\nMake one function of them, or give a reason in ALLOWED of scripts/duplicate_code.py.\n")
    return 1 if reports else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

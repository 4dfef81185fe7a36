"""Finds repeated code: 12 or more identical lines in two files, by pylint's duplicate-code.

    python scripts/duplicate_code.py [FOLDER]    # default: the package; exit code 1 and the pairs where there are some

Imports, docstrings, comments and signatures do not count. Declarations may be alike: `ALLOWED` lists such pairs, each
with its reason. pylint compares only the files that have half as many lines in common: for all files it takes twenty
times as long.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINES = 12
"""(pylint reports what has more lines than its `min-similarity-lines`.)"""
ALLOWED: dict[frozenset[str], str] = {}
"""Pairs of modules (`kitestring.a`, `kitestring.b`) whose declarations are alike, and why they are not one."""
PLACE = re.compile(r"^==([\w.]+):\[\d+:\d+\]$", re.M)


def code_lines(text: str) -> list[str]:
    """The lines of a module that pylint compares, or nearly: without imports, docstrings, comments and signatures."""
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
                left_out.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                left_out.update(range(node.lineno, node.body[0].lineno))
    numbered = enumerate(text.splitlines(), 1)
    lines = [line.partition(" #")[0].strip() for number, line in numbered if number not in left_out]
    return [line for line in lines if line and not line.startswith("#")]


def candidates(folder: Path) -> list[Path]:
    """The files that may repeat each other: they have half of `LINES` successive lines in common with another file.

    `code_lines` may take a line in that pylint leaves out, or the reverse: half of a repetition is still whole then.
    """
    length = LINES // 2
    files_of: defaultdict[tuple[str, ...], set[Path]] = defaultdict(set)
    for path in sorted(folder.rglob("*.py")):
        lines = code_lines(path.read_text("utf-8"))
        for start in range(len(lines) - length + 1):
            files_of[tuple(lines[start : start + length])].add(path)
    return sorted({path for files in files_of.values() if len(files) > 1 for path in files})


def duplicates(folder: Path) -> list[str]:
    """What pylint reports, a text for each pair that is not allowed."""
    paths = candidates(folder)
    if not paths:
        return []
    command = [
        *(sys.executable, "-m", "pylint", "--rcfile=/dev/null", "--score=no", "--disable=all"),
        *("--enable=duplicate-code", f"--min-similarity-lines={LINES - 1}", "--ignore-imports=yes"),
        *("--ignore-docstrings=yes", "--ignore-comments=yes", "--ignore-signatures=yes", *map(str, paths)),
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

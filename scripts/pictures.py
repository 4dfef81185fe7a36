"""Take the pictures of the docs: run the browser tests that show them, and put theirs into docs/images.

python scripts/pictures.py          all pictures that a page of the docs shows; `make pictures`
python scripts/pictures.py --list   which picture is of which test, without running any
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
TESTS = ROOT / "tests" / "browser"
SHOWN = re.compile(r"!\[[^\]]*\]\((?:\.\./|docs/)?images/([\w-]+)\.png\)")
TAKEN = re.compile(r'picture\(\w+, "([\w-]+)(?:\.png)?"')


def in_docs() -> set[str]:
    """The names of the pictures that pages show."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    return {name for page in pages for name in SHOWN.findall(page.read_text("utf-8"))}


def by_test() -> dict[str, Path]:
    """The file of tests that takes each picture."""
    return {name: path for path in sorted(TESTS.glob("test_*.py")) for name in TAKEN.findall(path.read_text("utf-8"))}


def main(arguments: list[str]) -> int:
    names, tests = in_docs(), by_test()
    unknown = sorted(names - set(tests))
    if unknown:
        print(f"No browser test takes {', '.join(unknown)}.", file=sys.stderr)
        return 1
    if "--list" in arguments:
        for name in sorted(names):
            print(f"{name}.png  {tests[name].relative_to(ROOT)}")
        return 0
    files = sorted({str(tests[name]) for name in names})
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "KITESTRING_SCREENSHOTS": folder}
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", *files], cwd=ROOT, env=environment, check=False)
        taken = [name for name in sorted(names) if (Path(folder) / f"{name}.png").is_file()]
        for name in taken:
            shutil.copyfile(Path(folder) / f"{name}.png", IMAGES / f"{name}.png")
    print(f"{len(taken)} of {len(names)} pictures were taken.")
    return done.returncode or (0 if len(taken) == len(names) else 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

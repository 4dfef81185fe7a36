"""No 12 identical lines stand in two files of the package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "scripts" / "duplicate_code.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.timeout(1800)
def test_no_code_of_the_package_stands_twice() -> None:
    result = run()
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(("lines", "code"), [(11, 0), (12, 1)])
def test_twelve_identical_lines_in_two_files_are_found(tmp_path: Path, lines: int, code: int) -> None:
    body = "".join(f"    value = value * {number} + {number}\n" for number in range(lines))
    for name in ("first", "second"):
        text = f'"""The file {name}."""\n\n\ndef {name}(value: int) -> int:\n{body}    return value - {len(name)}\n'
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "__init__.py").touch()
    result = run(str(tmp_path))
    assert result.returncode == code, result.stdout + result.stderr
    assert ("first" in result.stdout and "second" in result.stdout) is bool(code)

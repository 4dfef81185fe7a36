"""Writes the map of docs/explanation/architecture.md from the modules' docstrings:
`.venv/bin/python scripts/module_map.py`."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "kitestring"
PAGE = ROOT / "docs" / "explanation" / "architecture.md"
MAP = re.compile(r"<!-- modules -->\n.*?<!-- end of modules -->", re.DOTALL)
WITHOUT_MODULES = ("sources", "destinations", "server/store/migrations", "vector/embedders")
"""Folders of many files of one kind: a connector, a migration or an embedder each. They get one line for all."""
SENTENCE = re.compile(r"(.+?)\.(?:\s|$)", re.DOTALL)


def written(text: str) -> str:
    """The page with a new map."""
    return MAP.sub(lambda _: f"<!-- modules -->\n\n{''.join(sections())}<!-- end of modules -->", text)


def sections() -> Iterator[str]:
    """One section for each package: a heading, and a line for each module."""
    for folder in sorted({path.parent for path in PACKAGE.rglob("*.py")}):
        name = folder.relative_to(PACKAGE).as_posix()
        parent = next((part for part in WITHOUT_MODULES if name == part or name.startswith(f"{part}/")), None)
        if (parent is not None and name != parent) or "node_modules" in folder.parts:
            continue
        modules = [] if parent else sorted(path for path in folder.glob("*.py") if not path.name.startswith("__"))
        init = folder / "__init__.py"
        about = f"{first_sentence(init)}.\n\n" if init.is_file() and first_sentence(init) else ""
        lines = "".join(f"- `{path.name}`: {first_sentence(path)}\n" for path in modules)
        if about or lines:
            yield f"### `{'kitestring' if name == '.' else name}/`\n\n{about}{lines}{chr(10) if lines else ''}"


@functools.cache
def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""


def first_sentence(path: Path) -> str:
    """The first sentence of a module's docstring, on one line and without its full stop; "" without a docstring."""
    paragraph = " ".join(docstring(path).split("\n\n")[0].split())
    match = SENTENCE.match(paragraph)
    return (match[1] if match else paragraph).replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")

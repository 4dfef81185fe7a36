"""Count the names in the package that are words of ours instead of the field's.

    .venv/bin/python scripts/house_words.py [--list] [PATH ...]

A name is an identifier that Python code binds or refers to: a variable, parameter, attribute, function or class. The
share is that of the references: a name that is used ten times counts ten times. Starlette, httpx and procrastinate have
none.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "kitestring"
BANNED = frozenset(["one", "ones", "found", "told", "made", "given", "said", "here"])
"""Words that say nothing of what a name holds: no name, and neither the first nor the last word of one."""
METAPHORS = frozenset(
    [
        *("nest", "brood", "hatch", "hatched", "fence", "courier", "patience", "shadow"),
        *("lots", "again", "holding", "ending", "stranger", "somebody"),
    ]
)
"""Pictures for things that the field has a term for: no word of a name, and none of a file's name."""
VAGUE = frozenset(
    [
        *("tells", "asked", "shown", "meant", "owed", "gone", "wanted", "whose", "whom", "there", "others"),
        *("stretch", "piece", "turn", "room", "rooms", "went", "goes"),
    ]
)
"""Counted, not banned: participles and pronouns in the place of a noun."""
FIELD_TERMS = frozenset(["not_found", "one_of", "OneOf", "connection_made", "shadow_folder"])
"""Terms of HTTP and JSON Schema, a method of asyncio, and an option since the first version. (`…NotFoundError` is a
library's.)"""
SQLALCHEMY_METHODS = frozenset(["one", "one_or_none", "scalar_one", "scalar_one_or_none"])
"""Of a result: no names of ours."""


def words_of(name: str) -> list[str]:
    """The words of a name in snake_case or CamelCase, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def is_banned(name: str) -> bool:
    if name in FIELD_TERMS or "NotFound" in name or name.startswith("test_"):
        return False
    words = words_of(name)
    return bool(words) and (bool({words[0], words[-1]} & BANNED) or bool(METAPHORS & set(words)))


def is_house_word(name: str) -> bool:
    return is_banned(name) or name.strip("_").lower() in VAGUE


def names_in(path: Path) -> Iterator[tuple[str, int]]:
    """Each reference to a name in a Python file, with its line."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Attribute(attr=name) if name in SQLALCHEMY_METHODS:
                continue
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name, node.lineno
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.keyword(arg=str(name)) | ast.ExceptHandler(name=str(name)):
                yield name, node.lineno
            case ast.alias(asname=str(name)):
                yield name, node.lineno


def python_files(paths: list[Path]) -> list[Path]:
    return [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*.py")))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "paths", nargs="*", type=Path, default=[PACKAGE], help="files and folders (default: the package)"
    )
    parser.add_argument("--list", action="store_true", help="list each house word with its file and line")
    arguments = parser.parse_args()
    references = 0
    house_words: Counter[str] = Counter()
    for path in python_files(arguments.paths):
        for name, line in names_in(path):
            references += 1
            if is_house_word(name):
                house_words[name] += 1
                if arguments.list:
                    print(f"{path}:{line}: {name}")
    count = house_words.total()
    print(f"{count} of {references} references are house words ({count / max(references, 1):.2%})")
    for name, uses in house_words.most_common(20):
        print(f"  {name} {uses}")


if __name__ == "__main__":
    main()

"""The declared gaps of connectors in their contracts, as Markdown: python scripts/contract_gaps.py"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent.parent / "tests"
sys.path.insert(0, str(TESTS))

from kitestring.testing import contract  # noqa: E402
from kitestring.testing.contract import Gaps  # noqa: E402


def classes() -> Iterator[tuple[str, type[Gaps]]]:
    """Each class of `tests/contract/connectors/` that runs a suite, with its connector's name."""
    for path in sorted((TESTS / "contract" / "connectors").glob("[!_]*.py")):
        module = importlib.import_module(f"contract.connectors.{path.stem}")
        for name, value in vars(module).items():
            if name.startswith("Test") and inspect.isclass(value) and issubclass(value, Gaps):
                yield path.stem, value


def suite(class_: type) -> str:
    """The suites that a class inherits, nearest first."""
    shipped = [parent.__name__ for parent in class_.__mro__ if vars(contract).get(parent.__name__) is parent]
    return next(name for name in shipped if name != "Gaps")


def cases(class_: type) -> int:
    return sum(name.startswith("test_") for name in dir(class_))


def main() -> None:
    print("| connector | class | suite | cases |\n|---|---|---|---|")
    for name, class_ in classes():
        print(f"| {name} | {class_.__name__} | {suite(class_)} | {cases(class_)} |")
    print("\n| connector | case | why not |\n|---|---|---|")
    for name, class_ in classes():
        for case, reason in class_.gaps.items():
            print(f"| {name} ({class_.__name__}) | {case.removeprefix('test_').replace('_', ' ')} | {reason} |")


if __name__ == "__main__":
    main()

"""The page of the suites lists their cases and hooks. KITESTRING_GOLDEN=1 writes it."""

from __future__ import annotations

import inspect
import os
from pathlib import Path

from kitestring.testing import contract
from kitestring.testing.contract import DestinationContract, Gaps, SourceContract

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "contract-suites.md"
SHIPPED = {value for value in vars(contract).values() if inspect.isclass(value) and issubclass(value, Gaps)}
FAMILIES = sorted(SHIPPED - {Gaps, SourceContract, DestinationContract}, key=lambda suite: suite.__name__)
SUITES: list[type[Gaps]] = [SourceContract, DestinationContract, *FAMILIES]


def sentence(case: str) -> str:
    words = case.removeprefix("test_").replace("_", " ").replace("airbyte", "Airbyte").replace("json", "JSON")
    return words[0].upper() + words[1:]


def in_a_line(text: str) -> str:
    return " ".join(text.split())


def hooks(suite: type[Gaps]) -> list[str]:
    """What the author writes: methods that raise `NotImplementedError`."""
    rows = []
    for name, method in inspect.getmembers(suite, inspect.isfunction):
        if "raise NotImplementedError" in inspect.getsource(method):
            output = (
                inspect.getdoc(method) or "gives the connector; called with the same folder it means the same place."
            )
            rows.append(f"`{name}`: {in_a_line(output)}")
    return rows


def section(suite: type[Gaps]) -> list[str]:
    base = next((other for other in SUITES if other in suite.__mro__[1:]), None)
    inherited = set(dir(base)) if base else set()
    cases = [name for name in dir(suite) if name.startswith("test_") and name not in inherited]
    rows = [f"## {suite.__name__}", "", in_a_line(inspect.getdoc(suite) or ""), ""]
    rows += ["You write:", "", *(f"- {row}" for row in hooks(suite)), ""]
    more = f" besides those of `{base.__name__}`" if base else ""
    rows += [f"{len(cases)} cases{more}:", "", *(f"- {sentence(case)}." for case in cases), ""]
    return rows


def test_the_page_lists_every_case_and_what_an_author_writes() -> None:
    page = PAGE.read_text("utf-8")
    head = page[: page.index("<!-- cases -->")]
    expected = "\n".join([head + "<!-- cases -->", "", *(row for suite in SUITES for row in section(suite))])
    if os.environ.get("KITESTRING_GOLDEN"):
        PAGE.write_text(expected, "utf-8")
    assert page == expected

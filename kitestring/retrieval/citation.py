"""Citations in the text of an answer, `[2]`: those of passages that exist stay, others are taken out and counted."""

from __future__ import annotations

import re

NUMBERS = r"\[\d{1,4}(?:\s*[,;]\s*\d{1,4})*\]"
CITATION = re.compile(rf"(?<!\s)\s*{NUMBERS}(?:\s*{NUMBERS})*")
"""One, or several beside each other. Spaces are looked at from their first one only, since there may be many."""
UNFINISHED = re.compile(rf"(?<!\s)\s*(?:{NUMBERS}\s*)*(?:\[[\d\s,;]*)?\Z")
LONGEST = 200
"""Characters that are held back."""


class CitationFilter:
    """Takes the parts of an answer as they come, and returns the text that can be shown. A citation that arrives in
    pieces is held back until it is whole. `cited` and `unknown`: the numbers in the order of their first use."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.cited: list[int] = []
        self.unknown: list[int] = []
        self._held = ""

    def take(self, text: str) -> str:
        """The text that is complete by now."""
        text = self._held + text
        match = UNFINISHED.search(text)
        start = match.start() if match is not None else len(text)
        if len(text) - start > LONGEST:
            start = len(text)
        self._held = text[start:]
        return self._checked(text[:start])

    def end(self) -> str:
        """What was held back."""
        text, self._held = self._held, ""
        return self._checked(text).rstrip()

    def _checked(self, text: str) -> str:
        return CITATION.sub(self._known, text)

    def _known(self, match: re.Match[str]) -> str:
        numbers = [int(number) for number in re.findall(r"\d+", match[0])]
        known = [number for number in numbers if 1 <= number <= self.count]
        for number in numbers:
            seen = self.cited if number in known else self.unknown
            if number not in seen:
                seen.append(number)
        space = match[0][: len(match[0]) - len(match[0].lstrip())]
        return space + "".join(f"[{number}]" for number in known) if known else ""


def without_citations(text: str) -> str:
    """The text of an earlier answer: its numbers mean nothing beside other passages."""
    return CITATION.sub("", text)

"""An answer without a language model: the sentences of the passages that are nearest to the question."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kitestring.destination import Compares
from kitestring.errors import ConfigError
from kitestring.retrieval.passage import Passage

SENTENCE_END = re.compile(r"(?<=[.!?…])[\"')\]]*\s+(?=[\"'(\[]*[A-ZÀ-Þ0-9])|(?<=[。！？])")
MARK = re.compile(r"\s*(?:[-*#>|•]+|\d+[.)])\s+")
SHORTEST, LONGEST = 12, 400
"""Characters of a sentence: what is shorter is a heading or a greeting."""
MOST_SENTENCES = 120
MOST_CITED = 3
BELOW_BEST = 0.15
"""A second sentence may be this much farther from the question than the first."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage, and the one after it, which often has the rest."""

    passage: int
    text: str
    following: str = ""


@dataclass(frozen=True, slots=True)
class Extract:
    """Sentences with citations. `answers`: the best is near enough to the question; `similarity` is its cosine."""

    text: str
    answers: bool
    cited: Sequence[int]
    similarity: float
    note: str = ""


def extract(reads: Compares, question: str, passages: Sequence[Passage]) -> Extract:
    """The sentences that answer best, at most one of each passage, with the numbers of their passages.

    Whether any of them answers is decided by the cosine that was measured for the embedder (`related_similarity`). For
    another one it is not known, and a note says so.
    """
    sentences = list(sentences_of(passages))[:MOST_SENTENCES]
    if not sentences:
        return Extract("", False, (), 0.0)
    facts = reads.reading_facts()
    if not facts.meaningful:
        raise ConfigError(
            "the embedder of this collection makes vectors without meaning, and no sentence can be chosen",
            hint="Choose another embedder, or set a language model.",
        )
    similarities = reads.similarities(question, [sentence.text for sentence in sentences])
    order = sorted(range(len(sentences)), key=lambda index: -similarities[index])
    best = similarities[order[0]]
    chosen: dict[int, Sentence] = {}
    for index in order:
        if len(chosen) == MOST_CITED or similarities[index] < best - BELOW_BEST:
            break
        sentence = sentences[index]
        if any(sentence.text in with_next(other) for other in chosen.values()):
            continue
        chosen.setdefault(sentence.passage, sentence)
    text = "\n".join(f"{with_next(sentence)} [{sentence.passage}]" for sentence in chosen.values())
    note = "" if facts.related is not None else UNMEASURED
    answers = facts.related is None or best >= facts.related
    return Extract(text if answers else "", answers, tuple(chosen) if answers else (), best, note)


UNMEASURED = "For this embedder it was not measured how near an answer is: the nearest sentences may not be one."


def with_next(sentence: Sentence) -> str:
    """The sentence with the one after it. A heading gets a full stop."""
    text = sentence.text if sentence.text.endswith(tuple(".!?…:;,。！？")) else f"{sentence.text}."
    return f"{text} {sentence.following}".rstrip()


def sentences_of(passages: Sequence[Passage]) -> Iterator[Sentence]:
    """The sentences of all passages, without marks of lists and headings. A sentence that several passages have counts
    for the first."""
    seen: set[str] = set()
    for passage in passages:
        texts = [text for line in passage.text.splitlines() for text in split(line)]
        if len(texts) > 1 and texts[0] == passage.title.strip():
            texts = texts[1:]
        for number, text in enumerate(texts):
            if text.casefold() in seen or len(text) < SHORTEST:
                continue
            seen.add(text.casefold())
            following = texts[number + 1] if number + 1 < len(texts) else ""
            fits = len(text) + len(following) <= LONGEST and len(following) >= SHORTEST
            yield Sentence(passage.number, text[:LONGEST], following if fits else "")


def split(line: str) -> list[str]:
    line = MARK.sub("", line, count=1) if MARK.match(line) else line
    return [part.strip() for part in SENTENCE_END.split(line) if part.strip()]

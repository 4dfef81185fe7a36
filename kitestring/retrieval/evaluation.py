"""How well a collection answers saved questions: each way to search, side by side."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kitestring.destination import Compares, Searches
from kitestring.errors import ConfigError
from kitestring.retrieval.answer import ask
from kitestring.retrieval.passage_retrieval import Retrieval, retrieve
from kitestring.retrieval.reranker import Reranker

DEPTH = 10
"""Records that are looked at for MRR and nDCG."""


@dataclass(frozen=True, slots=True)
class Question:
    """A saved question, and the records that answer it, by record id or by title. Without any, the sources have no
    answer."""

    text: str
    records: frozenset[str] = frozenset()
    titles: frozenset[str] = frozenset()

    @property
    def expected(self) -> int:
        return len(self.records) + len(self.titles)


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions about one stream, or about all."""

    questions: Sequence[Question]
    stream: str | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of one way to search, over the questions with an answer. `seconds`: of a search, on average.
    `missed`: questions none of whose records was among the first five."""

    name: str
    recall_at_5: float
    mrr: float
    ndcg: float
    seconds: float
    missed: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "recallAt5": round(self.recall_at_5, 4),
            "mrrAt10": round(self.mrr, 4),
            "ndcgAt10": round(self.ndcg, 4),
            "seconds": round(self.seconds, 4),
            "missed": list(self.missed),
        }


@dataclass(frozen=True, slots=True)
class Refusals:
    """Answers without a language model: how many questions without an answer were refused, and how many with one."""

    without_answer: int
    without_answer_refused: int
    with_answer: int
    with_answer_refused: int


def question_set(path: Path) -> QuestionSet:
    """The questions of a YAML file: `questions`, each with `question` and `records` or `titles`; `stream`."""
    import yaml

    try:
        body = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"the questions of {path} cannot be read: {error}", hint="Give a YAML file.") from None
    entries = body.get("questions") if isinstance(body, Mapping) else None
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"{path} has no list `questions`", hint="Write `questions: [{question: …, records: […]}]`.")
    questions = []
    for number, entry in enumerate(entries, 1):
        lists: list[Any] = [None]
        if isinstance(entry, Mapping):
            lists = [entry.get(name) or [] for name in ("records", "titles")]
        if not isinstance(entry, Mapping) or not entry.get("question") or not all(isinstance(x, list) for x in lists):
            raise ConfigError(
                f"question {number} of {path} is not a mapping with `question`, and lists `records` or `titles`",
                hint="Correct the file.",
            )
        records, titles = (frozenset(map(str, values)) for values in lists)
        questions.append(Question(str(entry["question"]), records, titles))
    stream = body.get("stream")
    return QuestionSet(questions, None if stream is None else str(stream))


def evaluate(reads: Searches, saved: QuestionSet, reranker: Reranker | None = None) -> list[Score]:
    """The scores of each way to search that the collection supports."""
    base = Retrieval(stream=saved.stream, limit=DEPTH, hybrid=False)
    ways = {"meaning": base}
    if isinstance(reads, Compares) and reads.reading_facts().words:
        ways["words and meaning"] = replace(base, hybrid=True)
    if reranker is not None:
        ways |= {f"{name}, reranked": replace(how, reranker=reranker) for name, how in list(ways.items())}
    return [score_of(reads, saved, name, how) for name, how in ways.items()]


def score_of(reads: Searches, saved: QuestionSet, name: str, how: Retrieval) -> Score:
    questions = [question for question in saved.questions if question.expected]
    if not questions:
        raise ConfigError("no question names a record that answers it", hint="Give `records` or `titles`.")
    recall, reciprocal, gain, missed, began = 0.0, 0.0, 0.0, list[str](), time.perf_counter()
    for question in questions:
        relevant = relevance(reads, question, how)
        within = sum(relevant[:5])
        recall += min(1.0, within / question.expected)
        if not within:
            missed.append(question.text)
        reciprocal += next((1 / rank for rank, hit in enumerate(relevant, 1) if hit), 0.0)
        ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(DEPTH, question.expected) + 1))
        gain += sum(1 / math.log2(rank + 1) for rank, hit in enumerate(relevant, 1) if hit) / ideal
    count = len(questions)
    return Score(name, recall / count, reciprocal / count, gain / count, (time.perf_counter() - began) / count, missed)


def relevance(reads: Searches, question: Question, how: Retrieval) -> list[bool]:
    """Whether each record, best first, is one that answers. A record or a title counts once."""
    remaining, relevant, seen = {*question.records, *question.titles}, [], set[tuple[str, str]]()
    for passage in retrieve(reads, question.text, how).passages:
        record = passage.stream, passage.record_id or passage.chunk_id
        if record in seen:
            continue
        seen.add(record)
        names = remaining & {record[1], passage.title}
        remaining -= names
        relevant.append(bool(names))
    return relevant


def refusals(reads: Searches, saved: QuestionSet) -> Refusals:
    """How answers without a language model tell that the sources have no answer."""
    counts = {True: [0, 0], False: [0, 0]}
    for question in saved.questions:
        answer = ask(reads, question.text, how=Retrieval(stream=saved.stream))
        count = counts[bool(question.expected)]
        count[0] += 1
        count[1] += not answer.answered
    return Refusals(*counts[False], *counts[True])

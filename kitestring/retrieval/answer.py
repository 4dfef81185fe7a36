"""An answer to a question from what was synced, with citations that lead to the records it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kitestring.destination import Compares, Searches
from kitestring.errors import ConfigError
from kitestring.retrieval.citation import CitationFilter
from kitestring.retrieval.extract import extract
from kitestring.retrieval.language_model import LanguageModel
from kitestring.retrieval.model_stream import ModelUsage
from kitestring.retrieval.passage import Passage
from kitestring.retrieval.passage_retrieval import Passages, Retrieval, retrieve
from kitestring.retrieval.prompt import NOT_IN_SOURCES, Turn, prompt_of, questions_before

NO_ANSWER = "The sources do not answer this question."
LONGEST_QUESTION = 20_000


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `answered` is False if the sources do not have it; `text` then says so.

    `citations` are the numbers of the passages that the text cites. `notes` are for whoever reads the answer: a
    citation that was taken out, an answer that was cut at the limit of the model. Without a model `model` is None, and
    tokens and cost are None wherever they are not known.
    """

    question: str
    text: str
    answered: bool
    passages: Sequence[Passage] = ()
    citations: Sequence[int] = ()
    notes: Sequence[str] = ()
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None

    @property
    def cited(self) -> list[Passage]:
        """The passages that the text cites, in the order of its citations."""
        by_number = {passage.number: passage for passage in self.passages}
        return [by_number[number] for number in self.citations]

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "question": self.question,
            "text": self.text,
            "answered": self.answered,
            "passages": [passage.as_dict() for passage in self.passages],
            "citations": list(self.citations),
            "notes": list(self.notes),
            "model": self.model,
            "inputTokens": self.input_tokens,
            "outputTokens": self.output_tokens,
            "costUsd": self.cost_usd,
        }


def ask(
    reads: Searches,
    question: str,
    *,
    model: LanguageModel | None = None,
    history: Sequence[Turn] = (),
    how: Retrieval | None = None,
) -> Answer:
    """The whole answer; see `answering`."""
    *_, answer = answering(reads, question, model=model, history=history, how=how)
    assert isinstance(answer, Answer)
    return answer


def answering(
    reads: Searches,
    question: str,
    *,
    model: LanguageModel | None = None,
    history: Sequence[Turn] = (),
    how: Retrieval | None = None,
) -> Iterator[Passages | str | Answer]:
    """An answer as it comes: first the passages, then parts of the text, in the end the `Answer`. Without that last one
    it is not whole: an error is raised after the last part of an answer that breaks off.

    With `model`, a language model writes it from the passages; without one, it is the sentences of the passages that
    are nearest to the question. `history` is the conversation so far.
    """
    question = question.strip()
    if not question:
        raise ConfigError("the question is empty", hint="Write a question.")
    if len(question) > LONGEST_QUESTION:
        raise ConfigError(
            f"the question has {len(question):,} characters, and {LONGEST_QUESTION:,} are allowed", hint="Shorten it."
        )
    retrieved = retrieve(reads, question, how or Retrieval(), questions_before(history, question))
    yield retrieved
    if not retrieved.passages:
        yield NO_ANSWER
        yield Answer(question, NO_ANSWER, False, notes=retrieved.notes, model=model.model if model else None)
    elif model is None:
        answer = extracted(reads, question, retrieved)
        yield answer.text
        yield answer
    else:
        yield from written(model, question, retrieved, history)


def extracted(reads: Searches, question: str, retrieved: Passages) -> Answer:
    """The answer without a language model."""
    if not isinstance(reads, Compares):
        raise ConfigError(
            "this destination cannot compare texts, which an answer without a language model needs",
            hint="Set a language model (KITESTRING_ANSWER_URL and _MODEL).",
        )
    result = extract(reads, question, retrieved.passages)
    notes = [*retrieved.notes, *([result.note] if result.note else [])]
    text = result.text if result.answers else NO_ANSWER
    return Answer(question, text, result.answers, retrieved.passages, result.cited, notes)


@dataclass(slots=True)
class WrittenText:
    """The text of a model as it comes, checked. The beginning is held back until it is known whether the model says
    that the sources have no answer."""

    citations: CitationFilter
    text: str = ""
    answered: bool = True
    _beginning: str = ""
    _decided: bool = field(default=False)

    def take(self, part: str) -> str:
        """What may be shown by now."""
        if not self.answered:
            return ""
        if not self._decided:
            self._beginning += part
            start = bare(self._beginning)
            if len(start) < len(NOT_IN_SOURCES) and NOT_IN_SOURCES.startswith(start):
                return ""
            self._decided = True
            if start.startswith(NOT_IN_SOURCES):
                self.answered = False
                return ""
            part = self._beginning.lstrip()
        return self._shown(self.citations.take(part))

    def end(self) -> str:
        if not self.answered:
            return ""
        rest = "" if self._decided else self.citations.take(self._beginning.lstrip())
        return self._shown(rest + self.citations.end())

    def _shown(self, text: str) -> str:
        self.text += text
        return text


def bare(text: str) -> str:
    """The beginning of a text without quotes and emphasis, in capitals."""
    return text.lstrip(" \t\r\n\"'*_`“.").upper()


def written(
    model: LanguageModel, question: str, retrieved: Passages, history: Sequence[Turn]
) -> Iterator[str | Answer]:
    """The answer of a language model."""
    prompt = prompt_of(question, retrieved.passages, history)
    text, usage = WrittenText(CitationFilter(len(retrieved.passages))), ModelUsage()
    for part in model.stream(prompt.system, prompt.messages):
        if isinstance(part, ModelUsage):
            usage = part
            continue
        shown = text.take(part)
        if shown:
            yield shown
    rest = text.end()
    if rest:
        yield rest
    if not text.answered:
        yield NO_ANSWER
    cited = text.citations.cited if text.answered else []
    yield Answer(
        question,
        text.text.strip() if text.answered else NO_ANSWER,
        text.answered,
        retrieved.passages,
        cited,
        [*retrieved.notes, *writing_notes(text, usage, model)],
        model.model,
        usage.input_tokens,
        usage.output_tokens,
        model.cost_usd(usage),
    )


def writing_notes(text: WrittenText, usage: ModelUsage, model: LanguageModel) -> list[str]:
    """What a reader of the answer has to know."""
    notes = []
    unknown = text.citations.unknown
    if text.answered and unknown:
        numbers = ", ".join(map(str, unknown))
        notes.append(f"{model.model} cited passages that do not exist ({numbers}). These citations were left out.")
    if text.answered and not text.citations.cited:
        notes.append("The answer cites no passage. Check it against the passages.")
    if usage.stopped == "length":
        notes.append("The answer was cut at the limit of the model's tokens. It is not whole.")
    if usage.stopped == "refused":
        notes.append("The model ended its answer by its own rules. It may not be whole.")
    return notes

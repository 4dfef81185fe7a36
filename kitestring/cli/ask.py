"""`kitestring ask`: answers a question from what was synced, with citations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from kitestring.cli.global_options import cli_context
from kitestring.cli.search import (
    DestinationConfig,
    DestinationName,
    Hybrid,
    IncludeDeleted,
    StreamName,
    Where,
    filter_of,
)
from kitestring.cli.search_destination import searchable_destination
from kitestring.cli.terminal_text import printable


def ask(
    ctx: typer.Context,
    query: Annotated[
        list[str],
        typer.Argument(metavar="[CONNECTION] QUESTION", help="A connection or destination, and the question."),
    ],
    destination: DestinationName = "",
    destination_config: DestinationConfig = None,
    where: Where = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many records the answer may use.")] = 5,
    hybrid: Hybrid = None,
    stream: StreamName = "",
    no_model: Annotated[
        bool, typer.Option("--no-model", help="Answer with sentences of the records, without a language model.")
    ] = False,
    chat: Annotated[bool, typer.Option("--chat", help="Ask for more questions: a conversation.")] = False,
    include_deleted: IncludeDeleted = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole answer as one JSON object.")] = False,
) -> None:
    """Answer a question from what was synced, with citations that lead to the records.

    \b
    kitestring ask helpdesk "how long is an account locked?" --stream articles
    kitestring ask "what do customers say about exports?" --where status=open --json

    A language model writes the answer if KITESTRING_ANSWER_URL and KITESTRING_ANSWER_MODEL name one (with
    KITESTRING_ANSWER_KEY, and KITESTRING_ANSWER_KIND: openai or anthropic). Without one, the answer consists of the
    sentences that are nearest to the question.
    """
    name, question = named(query, destination)
    cli = cli_context(ctx)
    options: dict[str, Any] = {
        "where": filter_of(where or []),
        "limit": limit,
        "hybrid": hybrid,
        "stream": stream or None,
        "include_deleted": include_deleted,
    }
    if cli.server:
        from kitestring.cli import server_target

        place = [destination or name] if destination or name else []

        def of_server(asked: str, history: Sequence[Mapping[str, str]]) -> Iterator[str | Mapping[str, Any]]:
            body = {**options, "useModel": not no_model, "history": history}
            answer = server_target.ask(cli, [*place, asked], body)
            yield answer["text"]
            yield answer

        converse(of_server, question, chat, as_json)
        return
    with searchable_destination(cli, name, destination, destination_config) as handle:

        def of_destination(asked: str, history: Sequence[Mapping[str, str]]) -> Iterator[str | Mapping[str, Any]]:
            from kitestring.answers import answering
            from kitestring.retrieval.answer import Answer
            from kitestring.retrieval.passage_retrieval import Passages
            from kitestring.retrieval.prompt import Turn
            from kitestring.retrieval.reranker import Reranker

            for part in answering(
                handle,
                asked,
                model=False if no_model else None,
                history=[Turn(turn["question"], turn["answer"]) for turn in history],
                reranker=Reranker.of(),
                **options,
            ):
                if not isinstance(part, Passages):
                    yield part.as_dict() if isinstance(part, Answer) else part

        converse(of_destination, question, chat, as_json)


EventsOf = Callable[[str, Sequence[Mapping[str, str]]], Iterator[str | Mapping[str, Any]]]
"""For a question and the conversation before it: the parts of the text, and in the end the answer."""


def converse(events_of: EventsOf, question: str, chat: bool, as_json: bool) -> None:
    """Print the answer to a question; with `chat`, to further ones from standard input until it ends."""
    history: list[Mapping[str, str]] = []
    while question:
        answer: Mapping[str, Any] | None = None
        try:
            for part in events_of(question, history):
                if not isinstance(part, str):
                    answer = part
                elif not as_json:
                    typer.echo(printable(part), nl=False)
        except BaseException:
            if not as_json:
                typer.echo("")  # the error begins a line of its own
            raise
        assert answer is not None
        typer.echo(json.dumps(answer, ensure_ascii=False) if as_json else f"\n{sources(answer)}".rstrip())
        history.append({"question": question, "answer": answer["text"]})
        question = next_question() if chat else ""


def next_question() -> str:
    """The next question; empty at the end."""
    try:
        return input("\nNext question (empty line: end): ").strip()
    except EOFError:
        return ""


def sources(answer: Mapping[str, Any]) -> str:
    """The cited passages, the notes, and what the answer took."""
    lines = [""]
    passages = {passage["number"]: passage for passage in answer["passages"]}
    for number in answer["citations"]:
        passage = passages[number]
        title = typer.style(printable(passage["title"] or passage["recordId"] or passage["chunkId"]), bold=True)
        record = printable(f"{passage['stream']} {passage['recordId'] or ''}")
        lines.append(f"[{number}] {title}  {record}".rstrip())
        if passage["url"]:
            lines.append("    " + typer.style(printable(passage["url"]), fg="blue"))
    lines += [f"Note: {note}" for note in answer["notes"]]
    if answer["inputTokens"] is not None and answer["outputTokens"] is not None:
        cost = "" if answer["costUsd"] is None else f", {answer['costUsd']:.4f} USD"
        tokens = f"{answer['inputTokens']:,} tokens read, {answer['outputTokens']:,} written"
        lines.append(f"{answer['model']}: {tokens}{cost}")
    return "\n".join(lines)


def named(query: Sequence[str], destination: str) -> tuple[str, str]:
    """The connection or destination, empty for none, and the question."""
    if len(query) > 2 or (len(query) == 2 and destination):
        raise typer.BadParameter("give a connection (or --destination) and one question; put the question in quotes")
    return (query[0] if len(query) == 2 else ""), query[-1]

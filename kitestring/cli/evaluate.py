"""`kitestring eval`: measures the answers of a collection with saved questions."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from kitestring.cli.global_options import cli_context
from kitestring.cli.search import DestinationConfig, DestinationName
from kitestring.cli.search_destination import searchable_destination


def evaluate(
    ctx: typer.Context,
    query: Annotated[
        list[str], typer.Argument(metavar="[CONNECTION] FILE", help="A connection or destination, and the questions.")
    ],
    destination: DestinationName = "",
    destination_config: DestinationConfig = None,
    answers: Annotated[
        bool, typer.Option("--answers", help="Also count refused questions, in answers without a language model.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure a collection with saved questions: recall, MRR and nDCG of each way to search, side by side.

    \b
    kitestring eval helpdesk questions.yaml --answers

    The file is YAML: `stream` (optional) and `questions`, each with `question` and the `records` (record ids) or
    `titles` that answer it. A question without these has no answer in the sources. A reranker is measured too, if
    KITESTRING_RERANK_KIND is set.
    """
    from kitestring.library import searchable
    from kitestring.retrieval.evaluation import evaluate as scores_of
    from kitestring.retrieval.evaluation import question_set, refusals
    from kitestring.retrieval.reranker import Reranker

    if len(query) > 2 or (len(query) == 2 and destination):
        raise typer.BadParameter("give a connection (or --destination) and one file of questions")
    cli = cli_context(ctx)
    saved = question_set(Path(query[-1]))
    name = query[0] if len(query) == 2 else ""
    with searchable_destination(cli, name, destination, destination_config) as handle:
        reads = searchable(handle)
        scores = scores_of(reads, saved, Reranker.of())
        refused = refusals(reads, saved) if answers else None
    if as_json:
        body = {"scores": [score.as_dict() for score in scores], "refusals": asdict(refused) if refused else None}
        typer.echo(json.dumps(body, ensure_ascii=False))
        return
    typer.echo(f"{'':28} recall@5   MRR@10  nDCG@10   seconds")
    for score in scores:
        figures = f"{score.recall_at_5:8.3f} {score.mrr:8.3f} {score.ndcg:8.3f} {score.seconds:9.3f}"
        typer.echo(f"{score.name:28} {figures}")
        for text in score.missed:
            typer.echo(f"  missed: {text}")
    if refused is not None:
        typer.echo(
            f"refused: {refused.without_answer_refused} of {refused.without_answer} questions without an answer, "
            f"{refused.with_answer_refused} of {refused.with_answer} with one"
        )

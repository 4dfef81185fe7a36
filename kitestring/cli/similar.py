"""`kitestring similar`: lists the records that resemble a record, several records, or a text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from kitestring.cli.global_options import cli_context
from kitestring.cli.search import (
    DestinationConfig,
    DestinationName,
    IncludeDeleted,
    StreamName,
    Where,
    filter_of,
)
from kitestring.cli.search_destination import searchable_destination
from kitestring.cli.terminal_text import printable


def similar(
    ctx: typer.Context,
    query: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONNECTION] [TEXT]", help="A connection or destination, and a text.", show_default=False
        ),
    ] = None,
    record: Annotated[
        list[str] | None,
        typer.Option(
            "--record", help="STREAM:RECORD_ID, as a search shows them. Several are an interest.", show_default=False
        ),
    ] = None,
    destination: DestinationName = "",
    destination_config: DestinationConfig = None,
    where: Where = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The largest number of records.")] = 5,
    diversity: Annotated[
        float, typer.Option(min=0, max=1, help="From 0, the nearest records, to 1, records that differ most.")
    ] = 0.0,
    stream: StreamName = "",
    include_deleted: IncludeDeleted = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per record.")] = False,
) -> None:
    """List the records that resemble a record, several records, or a text.

    \b
    kitestring similar helpdesk --record tickets:tickets_305 --stream articles
    kitestring similar "exports are empty" --where status=new --diversity 0.3
    """
    words, records = list(query or []), [record_name(text) for text in record or []]
    most = 2 if not records else 1
    if len(words) > most or (not records and not words) or (len(words) == most and destination):
        raise typer.BadParameter("give a text in quotes, or --record, after at most one connection")
    text = "" if records else words[-1]
    name = words[0] if len(words) == most else ""
    cli = cli_context(ctx)
    options: dict[str, Any] = {
        "where": filter_of(where or []),
        "limit": limit,
        "diversity": diversity,
        "stream": stream or None,
        "include_deleted": include_deleted,
    }
    if cli.server:
        from kitestring.cli import server_target

        seeds = {"records": records} if records else {"text": text}
        resembling = server_target.similar(cli, destination or name, {**options, **seeds})
    else:
        from kitestring.answers import similar as similar_records
        from kitestring.retrieval.similar_records import RecordName

        with searchable_destination(cli, name, destination, destination_config) as handle:
            names = [RecordName(each["stream"], each["recordId"]) for each in records]
            resembling = [each.as_dict() for each in similar_records(handle, names or text, **options)]
    if not resembling and not as_json:
        typer.echo("Nothing was found.")
    for number, each in enumerate(resembling, 1):
        typer.echo(json.dumps(each, ensure_ascii=False) if as_json else record_lines(number, each))


def record_lines(number: int, record: Mapping[str, Any]) -> str:
    """A similar record for people."""
    text = printable(" ".join(record["text"].split()))
    excerpt = text if len(text) <= 160 else text[:159].rstrip() + "…"
    title = printable(record["title"] or record["recordId"] or record["chunkId"])
    head = f"{number:>2}. {record['score']:.2f}  {printable(record['stream'])}  " + typer.style(title, bold=True)
    link = [f"          {typer.style(printable(record['url']), fg='blue')}"] if record["url"] else []
    return "\n".join([head, *([f"          {excerpt}"] if excerpt and excerpt != title else []), *link])


def record_name(text: str) -> dict[str, str]:
    stream, colon, record_id = text.partition(":")
    if not (stream and colon and record_id):
        raise typer.BadParameter(f"{text} is not STREAM:RECORD_ID", param_hint="--record")
    return {"stream": stream, "recordId": record_id}

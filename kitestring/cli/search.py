"""`kitestring search`: searches a synced collection by meaning."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kitestring import home_folder
from kitestring.cli.global_options import CONFIG_HELP, CliContext, cli_context
from kitestring.cli.search_destination import searchable_destination
from kitestring.cli.terminal_text import printable
from kitestring.retrieval.record_label import link_of, title_of

if TYPE_CHECKING:
    from kitestring.types import Record

PAIR = re.compile(r"\s*([A-Za-z_][\w.]*)=(?!=)(.*)", re.DOTALL)


DestinationName = Annotated[
    str, typer.Option("--destination", help="A destination of the project, or a connector.", show_default=False)
]
DestinationConfig = Annotated[list[str] | None, typer.Option(help=CONFIG_HELP, show_default=False)]
Where = Annotated[
    list[str] | None,
    typer.Option(
        help="field=value (repeat a field for several values), a mapping in JSON, or the store's own language."
    ),
]
StreamName = Annotated[str, typer.Option("--stream", help="Only this stream.", show_default=False)]
Hybrid = Annotated[
    bool | None,
    typer.Option(
        "--hybrid/--no-hybrid", help="Also use full-text search, if the store supports it.", show_default=False
    ),
]
IncludeDeleted = Annotated[bool, typer.Option("--include-deleted", help="Include records that are marked as deleted.")]


def search(
    ctx: typer.Context,
    query: Annotated[
        list[str], typer.Argument(metavar="[CONNECTION] TEXT", help="A connection or destination, and the text.")
    ],
    destination: DestinationName = "",
    destination_config: DestinationConfig = None,
    where: Where = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The largest number of hits.")] = 5,
    threshold: Annotated[
        float | None,
        typer.Option(help="Leave out hits with a larger distance, in the collection's metric.", show_default=False),
    ] = None,
    hybrid: Hybrid = None,
    stream: StreamName = "",
    include_deleted: IncludeDeleted = False,
    per_record: Annotated[
        int | None,
        typer.Option(min=1, help="At most so many chunks of one record.", show_default=False),
    ] = None,
    permission: Annotated[
        str | None,
        typer.Option(help="A mapping in JSON that every hit passes, whatever --where is.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per hit.")] = False,
) -> None:
    """Search a collection semantically, with the embedder that filled it.

    \b
    kitestring search helpdesk "parcel arrived broken"
    kitestring search "refund" --where status=new --where status=open --limit 3
    kitestring search helpdesk "refund" --where 'organization_id == 7 and priority != "low"'
    kitestring search "refund" --destination milvus --destination-config @milvus.json --threshold 0.8 --json
    """
    if len(query) > 2 or (len(query) == 2 and destination):
        raise typer.BadParameter("give a connection (or --destination) and one text; put the text in quotes")
    cli = cli_context(ctx)
    options: dict[str, Any] = {
        "where": filter_of(where or []),
        "limit": limit,
        "threshold": threshold,
        "hybrid": hybrid,
        "stream": stream or None,
        "include_deleted": include_deleted,
    }
    if per_record is not None:
        options["per_record"] = per_record
    if permission is not None:  # an empty one is no permission to read everything
        if cli.server:
            raise typer.BadParameter("a server has permissions of its own", param_hint="--permission")
        from kitestring.cli.global_options import as_object, from_json

        options["permission"] = as_object(from_json(permission), "--permission")
    if cli.server:
        from kitestring.cli import server_target

        named = [destination, query[-1]] if destination else query
        hits = server_target.search(cli, named, options)
    else:
        connection = query[0] if len(query) == 2 else ""
        warm = None if destination_config or cli.debug else warm_hits(cli, connection, destination, query[-1], options)
        if warm is not None:
            hits = warm
        else:
            with searchable_destination(cli, connection, destination, destination_config) as handle:
                hits = handle.search(query[-1], **options)
    if as_json:
        import orjson

        for hit in hits:
            typer.echo(orjson.dumps(hit, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY))
        return
    if not hits:
        typer.echo("Nothing was found.")
    for number, hit in enumerate(hits, 1):
        typer.echo(hit_lines(number, hit))


def warm_hits(
    cli: CliContext, connection: str, destination: str, text: str, options: Mapping[str, Any]
) -> list[Any] | None:
    """The hits of the search daemon of the project; None without a project or a daemon."""
    from kitestring.cli import warm_search

    project = cli.project_path
    if project is None:
        return None
    home = cli.cwd / home_folder.home(project.parent)
    request = {"connection": connection, "destination": destination, "text": text, "options": options}
    answer = warm_search.search(home, project, request)
    if answer is None:
        return None
    if "error" in answer:
        from kitestring.cli import server_target

        raise server_target.error_of(answer["error"])
    return list(answer["hits"])


def filter_of(where: list[str]) -> str | dict[str, Any] | None:
    """`field=value` words as a mapping (a repeated field: any of its values), or one text in the store's language."""
    pairs: dict[str, Any] = {}
    for condition in where:
        match = PAIR.fullmatch(condition)
        if condition.lstrip().startswith("{"):
            from kitestring.cli.global_options import as_object, from_json

            values = as_object(from_json(condition), "--where")
        elif match:
            try:
                value = json.loads(match[2])
            except ValueError:
                value = match[2]
            values = {match[1]: value}
        elif len(where) == 1:
            return condition
        else:
            raise typer.BadParameter(
                f"{condition} is not field=value; a filter text must be the only condition", param_hint="--where"
            )
        for key, value in values.items():
            if key in pairs:
                old = pairs[key] if isinstance(pairs[key], list) else [pairs[key]]
                value = [*old, *(value if isinstance(value, list) else [value])]
            pairs[key] = value
    return pairs or None


def hit_lines(number: int, hit: Record) -> str:
    """A hit for people: distance, title, and the start of its text."""
    text = printable(" ".join(str(hit.get("text") or "").split()))
    excerpt = text if len(text) <= 240 else text[:239].rstrip() + "…"
    title, link = printable(title_of(hit)), printable(link_of(hit))
    distance = hit.get("distance")
    near = f"{distance:.3f}" if isinstance(distance, float | int) else "     "
    stream, name = printable(str(hit.get("stream", ""))), title or printable(str(hit.get("id", "")))
    head = f"{number:>2}. {near}  {stream}  " + typer.style(name, bold=True)
    lines = [head.rstrip()]
    if excerpt and excerpt != title:
        lines.append(f"           {excerpt}")
    if link:
        lines.append("           " + typer.style(link, fg="blue"))
    return "\n".join(lines)

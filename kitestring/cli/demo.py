"""`kitestring demo`: a help desk into a Milvus collection, three searches, and what a change costs."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kitestring.cli.exit_codes import SUCCEEDED, worst
from kitestring.cli.global_options import CliContext, cli_context

if TYPE_CHECKING:
    from kitestring.testing.zendesk import ZendeskStandIn

MARK = "# The project of `kitestring demo`."
PROJECT = """\
{mark} A stand-in for Zendesk serves a small help desk at the address below while the demo runs.

sources:
  helpdesk:
    connector: zendesk_support
    config:
      subdomain: {subdomain}
      start_date: "{start_date}"
      credentials:
        credentials: client_credentials
        client_id: {client_id}
        client_secret: ${{ZENDESK_CLIENT_SECRET:-{client_secret}}}
      # For tests, proxies and sandboxes. Leave it out for https://SUBDOMAIN.zendesk.com.
      base_url: {base_url}

destinations:
  vectors:
    connector: milvus
    config:
      processing:
        chunk_size: 200
        chunk_overlap: 20
        # Tickets have a subject and a description, articles a title and an HTML body.
        text_fields: [subject, description, title, body]
        metadata_fields: [id, subject, title, status, priority, organization_id, html_url]
      embedding:
        # all-MiniLM-L6-v2 from a package: no key, no network.
        mode: local
      indexing:
        # Milvus Lite, in this process. A server: http://localhost:19530
        host: ./help_desk.db
        collection: help_desk

connections:
  helpdesk:
    source: helpdesk
    destination: vectors
    streams: [tickets, articles]
"""

SEARCHES: list[tuple[str, dict[str, Any], str]] = [
    ("I changed my phone and the login code is refused", {"stream": "articles"}, "--stream articles"),
    ("the invoice lists people who no longer work here", {"where": {"status": "new"}}, "--where status=new"),
    ("how do I get back something I deleted by accident?", {}, ""),
]


def demo(
    ctx: typer.Context,
    folder: Annotated[
        str, typer.Option(help="The folder for its project and collection. An earlier demo in it is replaced.")
    ] = ".kitestring/demo",
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the help desk running at the end, to sync again from another terminal.")
    ] = False,
) -> None:
    """Run a demo, offline, in under a minute: a help desk into a Milvus collection, and three searches.

    \b
    kitestring demo
    kitestring search -p .kitestring/demo/kitestring.yaml "exports are empty" --where status=new

    A stand-in for Zendesk serves several hundred tickets and help articles on this machine. They are synced into Milvus
    Lite with a small local embedding model. Then some change, and a second sync embeds only those.
    """
    import logging

    from kitestring.testing.zendesk import ZendeskStandIn

    cli = cli_context(ctx)
    if not cli.debug:
        logging.getLogger("kitestring").setLevel("WARNING")
    started = time.monotonic()
    place = empty_folder(cli.path(folder))
    with ZendeskStandIn() as desk:
        codes = run_steps(desk, place, Path(folder))
        typer.echo(f"\nThat took {time.monotonic() - started:.0f} s.")
        if keep and worst(codes) == SUCCEEDED:
            typer.echo(f"The help desk stays at {desk.url} until Ctrl-C.")
            try:
                while True:
                    time.sleep(3600)
            except KeyboardInterrupt:
                typer.echo("")
    raise typer.Exit(worst(codes))


def empty_folder(place: Path) -> Path:
    """The folder, empty. What is not an earlier demo is never removed."""
    from kitestring.errors import ConfigError

    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        file = place / "kitestring.yaml"
        if not (file.is_file() and file.read_text("utf-8").startswith(MARK)):
            raise ConfigError(
                f"{place} is there already, and not from an earlier demo", hint="Name another: --folder DIR."
            )
        shutil.rmtree(place)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{place} cannot be made: {error.strerror}", hint="Name another: --folder DIR.") from error
    return place


def run_steps(desk: ZendeskStandIn, place: Path, display_path: Path) -> list[int]:
    """The story, step by step; the exit codes of its syncs."""
    config = desk.config
    text = PROJECT.format(
        mark=MARK,
        subdomain=config["subdomain"],
        start_date=config["start_date"],
        client_id=config["credentials"]["client_id"],
        client_secret=config["credentials"]["client_secret"],
        base_url=config["base_url"],
    )
    (place / "kitestring.yaml").write_text(text, encoding="utf-8")
    cli = CliContext(project=str(place / "kitestring.yaml"))
    project = display_path / "kitestring.yaml"
    step(
        1,
        f"A help desk, and a project file for it: {project}",
        f"""\
        A stand-in for Zendesk is running at {desk.url}, with {len(desk.desk.tickets)} tickets and
        {len(desk.desk.articles)} help articles. {project} says:
        copy tickets and articles to a Milvus collection, embedded by a local model.
        Now: kitestring sync
        """,
    )
    codes, first = [], run(cli)
    codes.append(first[0])
    if first[0] != SUCCEEDED:
        return codes
    step(2, "Three searches", "By meaning, with the model that filled the collection.")
    search(cli)
    step(3, "Something changes", change_help_desk(desk) + "\nAgain: kitestring sync")
    second = run(cli)
    codes.append(second[0])
    embedded, before = figure(second[1], "chunks_embedded"), figure(first[1], "chunks_embedded")
    typer.echo(
        f"Embedded: {embedded:,.0f} chunks, where the first sync embedded {before:,.0f}. "
        "Unchanged texts were not embedded again."
    )
    step(4, "Nothing changes", "Once more: kitestring sync")
    third = run(cli)
    codes.append(third[0])
    typer.echo(f"Embedded: {figure(third[1], 'chunks_embedded'):,.0f} chunks.")
    step(
        5,
        "Your turn",
        f"""\
        kitestring search -p {project} "exports are empty" --where status=new
        kitestring state show -p {project} helpdesk
        kitestring init                a project for your own Zendesk, GitHub or Postgres
        """,
    )
    return codes


def step(number: int, title: str, text: str) -> None:
    typer.echo("\n" + typer.style(f"{number}. {title}", bold=True))
    for line in dedent(text).strip().splitlines():
        typer.echo(f"   {line.strip()}")


def run(cli: CliContext) -> tuple[int, dict[str, Any]]:
    """`kitestring sync` on the demo's project."""
    import sys

    from kitestring.cli.sync import run_from_project, sync_connection

    return sync_connection(
        cli, run_from_project(cli, "helpdesk"), "", False, as_json=False, quiet=not sys.stderr.isatty()
    )


def search(cli: CliContext) -> None:
    from kitestring.cli.search import hit_lines

    with cli.destination("vectors") as handle:
        for text, options, flags in SEARCHES:
            typer.echo(typer.style(f'\n   kitestring search "{text}" {flags}'.rstrip(), fg="cyan"))
            for number, hit in enumerate(handle.search(text, limit=3, **options), 1):
                typer.echo(hit_lines(number, hit))


def change_help_desk(desk: ZendeskStandIn) -> str:
    """Change a little of everything, and say what."""
    live = desk.desk.live_tickets()
    for ticket in live[10:13]:
        desk.touch_ticket(ticket["id"])
    desk.touch_ticket(live[20]["id"], status="solved")
    desk.delete_ticket(live[30]["id"])
    desk.add_ticket("The map view is blank", "Since this morning the map shows a white page for all of our team.")
    articles = list(desk.desk.articles)
    desk.shrink_article(articles[3])
    desk.edit_article_metadata(articles[5])
    return dedent("""\
        Three customers write again, one ticket is solved, one deleted, one new. An article is cut down to its first
        paragraph, another gets new labels only.""")


def figure(result: dict[str, Any], name: str) -> float:
    return sum(float(stream["figures"].get(name, 0)) for stream in result["streams"].values())

"""`kitestring manifest new | validate | doctor | test | …`: write, check and try low-code manifests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from kitestring.declarative.builder import Reading
    from kitestring.declarative.builder.exchange import Exchange

app = typer.Typer(help="Write, check and test low-code manifests.", no_args_is_help=True, rich_markup_mode=None)

FILE = Annotated[str, typer.Argument(help="The manifest, or the name of a connector that is one.")]
AS_JSON = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command()
def new(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The connector's name: the file is connectors/NAME.yaml.")],
    url: Annotated[str, typer.Argument(help="The address of a list in the API.")],
    records: Annotated[str, typer.Option(help="The path of the records in the response: data.items")] = "",
    stream: Annotated[str, typer.Option(help="The stream's name. Default: the end of the address.")] = "",
    auth: Annotated[str, typer.Option(help="none, bearer, basic, header:NAME or query:NAME.")] = "none",
    paging: Annotated[
        str, typer.Option(help="none, link, page:PARAMETER, offset:PARAMETER or cursor:PARAMETER=PATH.")
    ] = "none",
    key: Annotated[str, typer.Option(help="The field that identifies a record.")] = "id",
    output: Annotated[str, typer.Option("--output", "-o", help="Another file, or - for stdout.")] = "",
) -> None:
    """Write a small commented manifest for an HTTP API, that works from the start.

    \b
    kitestring manifest new things https://api.example.com/v1/things --records data --auth bearer
    kitestring manifest new shop 'https://shop.example.com/orders?per_page=50' --paging page:page --auth header:X-Key
    """
    import re

    from kitestring.cli.global_options import cli_context
    from kitestring.declarative.builder import draft
    from kitestring.errors import ConfigError

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise typer.BadParameter(f"{name} cannot be the name of a file", param_hint="NAME")
    text = draft(url, records=records, stream=stream, auth=auth, paging=paging, key=key)
    if output == "-":
        typer.echo(text, nl=False)
        return
    cli = cli_context(ctx)
    folder = cli.cwd / "connectors" if cli.file is None else cli.file.connectors
    path = cli.path(output) if output else folder / f"{name}.yaml"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{path} is there already", hint="Choose another name, or --output FILE.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", hint="Check the folder.") from error
    typer.echo(f"wrote {path}")
    typer.echo(f"next: kitestring manifest test {path}", err=True)


@app.command()
def validate(
    ctx: typer.Context,
    files: Annotated[list[str], typer.Argument(help="Manifests.")],
    as_json: AS_JSON = False,
) -> None:
    """Find defects in manifests, with line and column. This sends no requests. Exit code 2 if there are defects.

    \b
    kitestring manifest validate connectors/things.yaml
    """
    from dataclasses import asdict

    from kitestring.cli.exit_codes import REFUSED
    from kitestring.declarative import builder

    answers, wrong = [], False
    for name in files:
        path = path_of(ctx, name)
        problems = builder.validate(text_of(path), folder=path.parent)
        wrong = wrong or bool(problems)
        answers.append({"file": str(name), "defects": [asdict(problem) for problem in problems]})
        for problem in () if as_json else problems:
            typer.echo(
                f"{name}:{problem.line}:{problem.column}: {problem.message}"
                + (f" [{problem.path}]" if problem.path else "")
            )
            if problem.hint:
                typer.echo(f"    {problem.hint}")
        if not problems and not as_json:
            typer.echo(f"{name}: no mistakes found")
    if as_json:
        typer.echo(json.dumps(answers, indent=2))
    raise typer.Exit(REFUSED if wrong else 0)


@app.command()
def doctor(
    ctx: typer.Context,
    files: Annotated[list[str], typer.Argument(help="Manifests, or names of connectors that are one.")],
    all_: Annotated[bool, typer.Option("--all", help="Also show accepted findings with their reason.")] = False,
    as_json: AS_JSON = False,
) -> None:
    """Find parts of a manifest that lose records or credentials although each request succeeds. No request is sent.

    It finds numbered pages that shift, unmarked last pages, tokens that nothing renews, and cursors that miss late
    records. Accept a finding that does not apply to an API in the manifest, with a reason (metadata.doctor). Exit code
    1 if there are findings.

    \b
    kitestring manifest doctor connectors/things.yaml
    kitestring manifest doctor github gitlab --all
    """
    from dataclasses import asdict

    from kitestring.cli.exit_codes import FAILED
    from kitestring.declarative.builder import examine
    from kitestring.declarative.manifest import load

    answers, wrong = [], False
    for name in files:
        findings = [finding for finding in examine(load(path_of(ctx, name))) if all_ or not finding.accepted]
        wrong = wrong or any(not finding.accepted for finding in findings)
        answers.append({"file": str(name), "findings": [asdict(finding) for finding in findings]})
        for finding in () if as_json else findings:
            typer.echo(f"{name}: {finding.stream + ': ' if finding.stream else ''}{finding.message} [{finding.rule}]")
            typer.echo(f"    {'accepted: ' + finding.accepted if finding.accepted else finding.fix}")
        if not findings and not as_json:
            typer.echo(f"{name}: nothing found")
    if as_json:
        typer.echo(json.dumps(answers, indent=2))
    raise typer.Exit(FAILED if wrong else 0)


@app.command("test")
def trial(
    ctx: typer.Context,
    file: FILE,
    stream: Annotated[str, typer.Argument(help="The stream. Default: the first one.")] = "",
    config: Annotated[list[str] | None, typer.Option("--config", "-c", help="Its options, as for `read`.")] = None,
    state: Annotated[str, typer.Option(help="A JSON file with the stream's state to begin with.")] = "",
    slices: Annotated[int, typer.Option(min=1, help="The largest number of slices.")] = 5,
    pages: Annotated[int, typer.Option(min=1, help="The largest number of pages per slice.")] = 5,
    records: Annotated[int, typer.Option(min=1, help="The largest number of records.")] = 1000,
    schema: Annotated[bool, typer.Option("--schema", help="Print the schema inferred from the records.")] = False,
    as_json: AS_JSON = False,
) -> None:
    """Read a sample of one stream, and show every request, its response, the records and the state.

    \b
    kitestring manifest test connectors/things.yaml -c api_token='${THINGS_TOKEN}'
    kitestring manifest test connectors/things.yaml things -c @config.json --json
    """
    from kitestring.cli.exit_codes import FAILED
    from kitestring.cli.global_options import cli_context, config_of, from_file
    from kitestring.declarative.builder import read
    from kitestring.declarative.source import DeclarativeSource
    from kitestring.errors import ConfigError

    path, cli = path_of(ctx, file), cli_context(ctx)
    values = config_of(config or (), cli.cwd)
    hide(ctx, path, values)
    if not stream:
        source = DeclarativeSource.from_manifest(path, values)
        try:
            names = source.names()
        finally:
            source.close()
        if not names:
            raise ConfigError(f"{path.name} has no streams", hint="kitestring manifest validate says more.")
        stream = names[0]
    begun = from_file(cli.path(state)) if state else None
    reading = read(path, values, stream, state=begun, most_slices=slices, most_pages=pages, most_records=records)
    if as_json:
        typer.echo(json.dumps(reading.values(), indent=2, default=str))
    elif schema:
        typer.echo(json.dumps(reading.schema, indent=2))
    else:
        show(reading)
    if reading.error and (schema or as_json):
        typer.echo(f"Error: {reading.error}", err=True)
    raise typer.Exit(FAILED if reading.error else 0)


@app.command("format")
def format_(
    ctx: typer.Context,
    files: Annotated[list[str], typer.Argument(help="Manifests.")],
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit code 1 if a file would change.")] = False,
) -> None:
    """Put the parts of manifests in the usual order, with blank lines between them. Comments and values stay.

    This sorts top-level parts and removes trailing spaces and extra blank lines. Indentation and quotes stay
    unchanged.

    \b
    kitestring manifest format connectors/things.yaml
    """
    from kitestring.cli.exit_codes import FAILED
    from kitestring.declarative.builder import formatted

    changed = False
    for name in files:
        path = path_of(ctx, name)
        text = text_of(path)
        new = formatted(text)
        if new == text:
            typer.echo(f"{name}: is as it should be")
            continue
        changed = True
        if not check:
            draft = path.with_name(f".{path.name}.tmp")
            draft.write_text(new, "utf-8")
            draft.replace(path)
        typer.echo(f"{name}: {'would be changed' if check else 'changed'}")
    raise typer.Exit(FAILED if changed and check else 0)


@app.command()
def bundle(
    ctx: typer.Context,
    file: FILE,
    output: Annotated[str, typer.Option("--output", "-o", help="The file to write. Default: stdout.")] = "",
) -> None:
    """Write a manifest with the files beside it in one text: components.py, and the schemas of its streams.

    This is the form that the connector builder of a server takes. Comments and order stay.

    \b
    kitestring manifest bundle source-acme/manifest.yaml -o connectors/acme.yaml
    """
    from kitestring.cli.global_options import cli_context
    from kitestring.declarative.builder.bundle import bundled_file

    path = path_of(ctx, file)
    bundled = bundled_file(path, text_of(path))
    if output:
        place = cli_context(ctx).path(output)
        write(place, bundled.text)
        typer.echo(f"wrote {place}")
    else:
        typer.echo(bundled.text, nl=False)
    typer.echo(f"with {', '.join(bundled.included) or 'nothing: no file beside it belongs to it'}", err=True)
    for note in bundled.notes:
        typer.echo(note, err=True)


@app.command()
def resolve(ctx: typer.Context, file: FILE) -> None:
    """Print a manifest as the engine reads it, as JSON: references replaced, parameters handed down, types filled in.

    \b
    kitestring manifest resolve connectors/things.yaml
    """
    from kitestring.declarative.builder import resolved

    typer.echo(json.dumps(resolved(text_of(path_of(ctx, file))), indent=2, default=str))


def path_of(ctx: typer.Context, name: str) -> Path:
    """The file of a manifest, typed as a path, as the folder of a `manifest.yaml`, or as a connector's name."""
    from kitestring import registry
    from kitestring.cli.global_options import cli_context
    from kitestring.errors import ConfigError

    cli = cli_context(ctx)
    inside = cli.path(name) / "manifest.yaml"
    if inside.is_file():
        return inside
    connector = registry.connector("source", cli.own("source", name))
    if connector.manifest is None:
        raise ConfigError(f"{name} is not a manifest", hint="Give the path of a manifest.")
    return connector.manifest


def write(path: Path, text: str) -> None:
    """Write the text of a manifest to a file in one step, in a folder that is created if it is absent."""
    from kitestring.errors import ConfigError

    partial = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(text.encode())
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", hint="Check the folder.") from error


def text_of(path: Path) -> str:
    """The text of a manifest as it is, line ends included."""
    from kitestring.errors import ConfigError

    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"the manifest {path} cannot be read: {reason}", hint="Check the file.") from error


def hide(ctx: typer.Context, path: Path, values: dict[str, Any]) -> None:
    """Keep the secrets of the configuration out of whatever is shown."""
    from kitestring.cli.global_options import cli_context
    from kitestring.config import secrets_in
    from kitestring.declarative import manifest_spec

    cli_context(ctx).secrets.hide(secrets_in(values, manifest_spec(path)))


def show(reading: Reading) -> None:
    """A test read for people."""
    for number, part in enumerate(reading.slices, 1):
        where = {**part.partition, **part.bounds}
        typer.echo(f"slice {number}" + (f" {json.dumps(where, default=str)}" if where else ""))
        for page in part.pages:
            for exchange in page.attempts:
                typer.echo(f"  {line(exchange)}")
            request_line = line(page.exchange) if page.exchange is not None else "(answered before)"
            typer.echo(f"  {request_line}: {len(page.records)} records" + rejects(page.rejects))
            for record in page.records[:2]:
                text = json.dumps(record, default=str, ensure_ascii=False)
                typer.echo(f"    {text[:300]}{'…' if len(text) > 300 else ''}")
    for exchange in reading.other:
        typer.echo(f"besides: {line(exchange)}")
    for entry in reading.logs:
        typer.echo(f"log: {entry.level} {entry.message}")
    if reading.state:
        typer.echo(f"state: {json.dumps(reading.state, default=str)}")
    typer.echo(
        f"{reading.stream}: {len(reading.records)} records"
        + (
            f", and there may be more: the limit of {' and '.join(reading.limited)} is reached"
            if reading.limited
            else ""
        )
    )
    if reading.error:
        typer.echo(f"Error: {reading.error}", err=True)
        if reading.hint:
            typer.echo(f"Hint:  {reading.hint}", err=True)


def rejects(rejected: list[dict[str, Any]]) -> str:
    return f", {len(rejected)} left out ({rejected[0]['reason']})" if rejected else ""


def line(exchange: Exchange) -> str:
    end = exchange.error or str(exchange.status)
    return f"{exchange.method} {exchange.url} → {end} ({exchange.ms:.0f} ms)"

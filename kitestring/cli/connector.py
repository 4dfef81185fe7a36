"""`kitestring spec | check | discover | read`: one connector at a time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kitestring.cli.exit_codes import FAILED, REFUSED, code_of, single_line, worst
from kitestring.cli.global_options import CONFIG_HELP, cli_context

if TYPE_CHECKING:
    from kitestring.credentials import CredentialEnd
    from kitestring.library import Handle
    from kitestring.registry import Connector

Kind = Literal["source", "destination"]
CONFIG = typer.Option("--config", "-c", help=CONFIG_HELP, show_default=False)
AS_JSON = typer.Option("--json", help="As JSON.")


def spec(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="A connector, or a name of the project file, or the path of a manifest.")],
    kind: Annotated[str, typer.Option(help="source or destination, where both have the name.")] = "",
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Show the options of a connector.

    \b
    kitestring spec zendesk_support
    kitestring spec milvus --json          the JSON Schema
    kitestring spec ./my_manifest.yaml
    """
    from kitestring import registry

    cli = cli_context(ctx)
    matches: list[Connector] = []
    for candidate in kinds(kind):
        entries = cli.names(candidate)
        connector = cli.needed.config(candidate, name)[0] if name in entries else cli.own(candidate, name)
        if (
            kind
            or name in entries
            or connector != name
            or connector in [c.name for c in registry.connectors(candidate)]
        ):
            matches.append(registry.connector(candidate, connector))
    if not matches:
        matches.append(registry.connector(nearest(name), name))
    if as_json:
        forms = {match.kind: match.spec() for match in matches}
        typer.echo(json.dumps(next(iter(forms.values())) if len(forms) == 1 else forms, indent=2))
        return
    for match in matches:
        typer.echo(f"{match.kind} {match.name}")
        typer.echo("\n".join(form_lines(match.spec(), "  ")) + "\n")


def kinds(kind: str) -> list[Kind]:
    if kind not in ("", "source", "destination"):
        raise typer.BadParameter(f"{kind} is neither source nor destination", param_hint="--kind")
    return [kind] if kind else ["source", "destination"]  # type: ignore[list-item]


def nearest(name: str) -> Kind:
    """The kind that a name tells (`source-github`), else the one that has the nearest name."""
    bare = name.removeprefix("airbyte/")
    for kind in kinds(""):
        if bare.startswith(f"{kind}-"):
            return kind
    if name.endswith((".yaml", ".yml")):
        return "source"

    from kitestring import registry
    from kitestring.suggest import near_names

    # A name that both kinds have is taken for a source's.
    known: dict[str, Kind] = {}
    for kind in reversed(kinds("")):
        known |= {connector.name: kind for connector in registry.connectors(kind)}
    near = near_names(name, known, 1, 0.0)
    return known[near[0]] if near else "source"


def form_lines(form: dict[str, Any], indent: str) -> list[str]:
    """The options of a form as text: name, type, what it is; choices below each other."""
    lines = []
    required = set(form.get("required", ()))
    properties = form.get("properties", {})
    for name in sorted(properties, key=lambda n: (n not in required, properties[n].get("order", 99))):
        option = properties[name]
        if "const" in option:
            lines.append(f"{indent}{name}: {option['const']}")
            continue
        facts = [option.get("type") or ("one of" if "oneOf" in option else "any")]
        if "enum" in option:
            facts = [" | ".join(map(str, option["enum"]))]
        if name in required:
            facts.append("required")
        elif "default" in option and option["default"] not in (None, "", [], {}):
            facts.append(f"default {json.dumps(option['default'])}")
        if option.get("airbyte_secret"):
            facts.append("secret")
        text = single_line(option.get("description") or option.get("title") or "")
        lines.append(f"{indent}{name} ({', '.join(map(str, facts))})" + (f": {text}" if text else ""))
        if "oneOf" in option:
            for choice in option["oneOf"]:
                lines.append(f"{indent}  - {choice.get('title', 'choice')}")
                lines.extend(form_lines(choice, indent + "    "))
        elif option.get("type") == "object":
            lines.extend(form_lines(option, indent + "  "))
        elif isinstance(option.get("items"), dict) and option["items"].get("properties"):
            lines.extend(form_lines(option["items"], indent + "  "))
    return lines


def check(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Names of the project file, or one connector.")] = None,
    config: Annotated[list[str] | None, CONFIG] = None,
    kind: Annotated[str, typer.Option(help="source or destination, where both have the name.")] = "",
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Test the connection to sources and destinations; nothing is changed.

    \b
    kitestring check                       every source and destination of the project
    kitestring check helpdesk
    kitestring check milvus -c @milvus.json
    """
    cli = cli_context(ctx)
    if cli.server:
        from kitestring.cli import server_target

        raise typer.Exit(server_target.check(cli, names or (), as_json))
    targets: list[tuple[Kind, str]] = []
    if names:
        for name in names:
            in_project: list[tuple[Kind, str]] = [
                (connector_kind, name) for connector_kind in kinds(kind) if name in cli.names(connector_kind)
            ]
            targets.extend(in_project or [(kind_of_connector(name, kind), name)])
    else:
        file = cli.needed.file
        targets.extend(("source", name) for name in file.sources)
        targets.extend(("destination", name) for name in file.destinations)
    codes, answers = [], []
    for connector_kind, name in targets:
        ends: list[CredentialEnd] = []
        error = check_error(
            lambda connector_kind=connector_kind, name=name: handle_of(ctx, connector_kind, name, config), ends
        )
        codes.append(0 if error is None else code_of(error) if code_of(error) == REFUSED else FAILED)
        message, hint = (cli.secrets.text(text) for text in (getattr(error, "message", ""), getattr(error, "hint", "")))
        answer = {"kind": connector_kind, "name": name, "ok": error is None, "message": message, "hint": hint}
        ends_body = [{"name": end.name, "at": end.at.isoformat(), "hint": end.hint} for end in ends]
        answers.append({**answer, "credential_ends": ends_body} if ends_body else answer)
        if not as_json:
            mark = typer.style("ok    ", fg="green") if error is None else typer.style("failed", fg="red")
            typer.echo(f"{mark}  {connector_kind} {name}")
            for end in ends:
                typer.echo(f"        {end}")
            if error is not None:
                typer.echo(f"        {single_line(message)}" + (f"\n        {single_line(hint)}" if hint else ""))
    if as_json:
        typer.echo(json.dumps(answers, indent=2))
    raise typer.Exit(worst(codes))


def kind_of_connector(name: str, kind: str) -> Kind:
    """Which kind of connector has this name; where both have it, it must be said."""
    from kitestring import registry

    matches: list[Kind] = [
        candidate for candidate in kinds(kind) if name in [c.name for c in registry.connectors(candidate)]
    ]
    if len(matches) == 2:
        raise typer.BadParameter(f"{name} is a source and a destination: say which", param_hint="--kind")
    return matches[0] if matches else nearest(name)


def handle_of(ctx: typer.Context, kind: Kind, name: str, config: list[str] | None) -> Handle[Any]:
    cli = cli_context(ctx)
    return cli.source(name, config) if kind == "source" else cli.destination(name, config)


def check_error(make: Any, ends: list[CredentialEnd]) -> Exception | None:
    """The error of a check, or None; `ends` gets what ends of the credentials."""
    from kitestring.credentials import TellsCredentialEnds
    from kitestring.errors import KitestringError

    try:
        with make() as handle:
            handle.check()
            if isinstance(handle.connector, TellsCredentialEnds):
                ends.extend(handle.connector.credential_ends())
    except KitestringError as error:
        return error
    return None


def discover(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(help="A source of the project file, a connector, or a manifest's path.")],
    config: Annotated[list[str] | None, CONFIG] = None,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Show the streams of a source.

    \b
    kitestring discover helpdesk
    kitestring discover postgres -c @database.json --json
    """
    from kitestring.cli.output import table

    with cli_context(ctx).source(source, config) as handle:
        catalog = handle.discover()
    if as_json:
        typer.echo(json.dumps([stream_as_dict(stream) for stream in catalog], indent=2))
        return
    table(
        ["Stream", "Primary key", "Cursor", "Sync modes", "Fields"],
        [
            [
                stream.key,
                ", ".join(".".join(path) for path in stream.primary_key),
                ".".join(stream.cursor or ()),
                ", ".join(mode.value for mode in stream.sync_modes),
                str(len(stream.schema.get("properties") or {})),
            ]
            for stream in catalog
        ],
    )


def stream_as_dict(stream: Any) -> dict[str, Any]:
    return {
        "name": stream.name,
        "namespace": stream.namespace,
        "primary_key": [list(path) for path in stream.primary_key],
        "cursor": list(stream.cursor) if stream.cursor else None,
        "source_defined_cursor": stream.source_defined_cursor,
        "sync_modes": [mode.value for mode in stream.sync_modes],
        "schema": stream.schema,
    }


def read(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(help="A source of the project file, a connector, or a manifest's path.")],
    stream: Annotated[str, typer.Argument(help="The stream.")],
    config: Annotated[list[str] | None, CONFIG] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="The largest number of records; 0 for all.")] = 10,
) -> None:
    """Print records of a stream, one JSON object per line. This writes nothing and changes no state.

    \b
    kitestring read helpdesk tickets --limit 3
    kitestring read sample users -c count=1000 --limit 0 | wc -l
    """
    import orjson

    from kitestring.errors import ConnectorError

    count = 0
    with cli_context(ctx).source(source, config) as handle:
        records = handle.read(stream, limit=limit or None)
        for record in records:
            typer.echo(orjson.dumps(record, default=str, option=orjson.OPT_NON_STR_KEYS))
            count += 1
    if records.rejected and not count:
        raise ConnectorError(
            f"none of {len(records.rejected)} records of {stream} could be taken: {records.rejected[0].reason}",
            hint="Check the connector's options.",
        )
    for reject in records.rejected[:3]:
        typer.echo(f"left out: {reject.reason}", err=True)

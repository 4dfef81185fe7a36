"""`kitestring plan`, `apply` and `export`: configure a server by a project file."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kitestring.cli.exit_codes import CHANGES, SUCCEEDED
from kitestring.cli.extras import needs_server
from kitestring.cli.global_options import CliContext, cli_context
from kitestring.cli.state import confirm

if TYPE_CHECKING:
    from kitestring.server.context import Context

PRUNE = typer.Option("--prune", help="Delete resources that the file created earlier and no longer contains.")
WORKSPACE = typer.Option(help="The workspace, by name or id. Default: the oldest.", show_default=False)
AS_JSON = typer.Option("--json", help="As JSON.")
LONGEST_STEM = 100
STATES = typer.Option("--states", help="A JSON file {connection: {stream: state}}, as `state export` writes it.")
SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "adopt": ("~", "yellow"), "delete": ("-", "red")}


def plan(
    ctx: typer.Context,
    prune: Annotated[bool, PRUNE] = False,
    states: Annotated[str, STATES] = "",
    workspace: Annotated[str, WORKSPACE] = "",
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Show what `apply` would change, and change nothing. Exit code 4 if there are changes.

    \b
    kitestring plan                                    the store of this project's data folder
    kitestring --server https://kite.example.com plan
    """
    cli = cli_context(ctx)
    with open_target(cli, workspace) as target:
        changes = target.plan(desired_config(cli, states), prune)
    show_changes(changes, as_json)
    raise typer.Exit(CHANGES if changes else SUCCEEDED)


def apply(
    ctx: typer.Context,
    prune: Annotated[bool, PRUNE] = False,
    states: Annotated[str, STATES] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before something is removed.")] = False,
    workspace: Annotated[str, WORKSPACE] = "",
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Make the server's sources, destinations, connections and schedules equal to kitestring.yaml.

    Resources that are not in the file stay unchanged, except with --prune, which deletes those that the file created
    earlier. `kitestring plan` shows the changes first. States stay, unless --states sets others: then the next run of
    a connection starts from these states. They must match the data at the destination.

    \b
    kitestring state export > states.json               what the syncs of this folder go on from …
    kitestring --server URL apply --states states.json  … and the server after them
    """
    cli = cli_context(ctx)
    desired = desired_config(cli, states)
    with open_target(cli, workspace) as target:
        if prune:
            deletions = [change for change in target.plan(desired, prune) if change["action"] == "delete"]
            if deletions:
                show_changes(deletions, False)
                confirm(
                    f"Remove {', '.join(change['name'] for change in deletions)} with their history on the server?", yes
                )
        changes = target.apply(desired, prune)
    show_changes(changes, as_json)


def export(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(help="The file to write. Default: stdout.")] = "",
    states: Annotated[
        str, typer.Option("--states", help="Also write the states of its connections to this file, as JSON.")
    ] = "",
    workspace: Annotated[str, WORKSPACE] = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write the configuration of a server as a project file. Secrets become variables, listed at the top."""
    from kitestring.errors import ConfigError

    cli = cli_context(ctx)
    for name in (file, states):
        if name and cli.path(name).exists() and not force:
            raise ConfigError(f"{name} is there already", hint="Choose another name, or add --force.")
    with open_target(cli, workspace) as target:
        project = target.export(bool(states))
    for sentence in project.pop("leftOut", []):
        typer.echo(f"left out: {sentence}", err=True)
    if states:
        write(cli, states, json.dumps(project.pop("states", {}), indent=2, sort_keys=True) + "\n")
    if not file:
        typer.echo(text_of(project, cli.cwd if not file else cli.path(file).parent), nl=False)
        return
    write(cli, file, text_of(project, cli.path(file).parent))
    typer.echo(f"{file} holds {', '.join(f'{len(project[kind])} {kind}' for kind in project)}.")


def write(cli: CliContext, file: str, text: str) -> None:
    from kitestring.errors import ConfigError

    try:
        cli.path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}", hint="Choose another place.") from error


def desired_config(cli: CliContext, states: str) -> dict[str, Any]:
    """The configuration of the project file, with the states of a file."""
    from kitestring.errors import ConfigError

    desired = cli.needed.desired_config()
    if not states:
        return desired
    try:
        content = json.loads(cli.path(states).read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise ConfigError(f"{states} cannot be read: {reason}", hint="`kitestring state export` writes one.") from error
    fits = isinstance(content, dict) and all(
        isinstance(streams, dict) and all(isinstance(state, dict) for state in streams.values())
        for streams in content.values()
    )
    if not fits:
        raise ConfigError(
            f"{states} contains something other than states",
            hint='Write {"connection": {"stream": {…}}}, as `kitestring state export` does.',
        )
    return {**desired, "states": content}


def text_of(project: Mapping[str, Any], folder: Any) -> str:
    """A project file as text; low-code sources are written beside it, in `connectors`."""
    import yaml

    from kitestring.names import distinct
    from kitestring.project import VARIABLE

    content = dict(project)
    low_code = [name for name, entry in content["sources"].items() if "manifest" in entry]
    for name, stem in distinct(low_code, safe_stem, folded=str.lower, longest=LONGEST_STEM).items():
        entry, path = content["sources"][name], folder / "connectors" / f"{stem}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(entry.pop("manifest"), sort_keys=False), "utf-8")
        entry["connector"] = f"./connectors/{stem}.yaml"
    body = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    needed = sorted({match[2] for match in VARIABLE.finditer(body) if not match[1]})
    head = "# Written by `kitestring export`.\n"
    if needed:
        head += f"# Set these variables before it is applied: {', '.join(needed)}\n"
    return head + "\n" + body


def safe_stem(name: str) -> str:
    """The name of a source as that of a file: whoever named it on the server writes nowhere else on this machine."""
    return re.sub(r"[^A-Za-z0-9_. -]+", "_", name).strip(" .") or "_"


def show_changes(changes: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"changes": list(changes)}, indent=2))
        return
    if not changes:
        typer.echo("Nothing to change: the server is as the file says.")
    for change in changes:
        sign, color = SIGNS[change["action"]]
        note = "  (made by hand until now)" if change["action"] == "adopt" else ""
        typer.echo(typer.style(f"{sign} {change['kind']} {change['name']}", fg=color) + note)
        for field in change["fields"]:
            before, after = field["before"], field["after"]
            if change["action"] == "create":
                typer.echo(f"    {field['path']}: {json.dumps(after)}")
            elif before == after:  # two secrets, both masked
                typer.echo(f"    {field['path']}: another secret")
            else:
                typer.echo(f"    {field['path']}: {json.dumps(before)} → {json.dumps(after)}")


class OverHttp:
    """The project's calls of a server."""

    def __init__(self, client: Any, workspace: str) -> None:
        self.client = client
        from kitestring.client import OWN

        self.url = f"{OWN}/project"
        self.workspace = workspace_id(list(client.listed("workspace")), workspace)

    def plan(self, desired: Any, prune: bool) -> list[Any]:
        return list(self._post("plan", desired, prune))

    def apply(self, desired: Any, prune: bool) -> list[Any]:
        return list(self._post("apply", desired, prune))

    def export(self, states: bool) -> dict[str, Any]:
        return dict(self.client.call("GET", f"{self.url}/export", workspaceId=self.workspace, states=states))

    def _post(self, verb: str, desired: Any, prune: bool) -> Any:
        body = {"workspaceId": self.workspace, "wanted": desired, "prune": prune}
        return self.client.call("POST", f"{self.url}/{verb}", body)["changes"]


class InStore:
    """The same on the store of a data folder, without a server."""

    def __init__(self, context: Context, workspace: str) -> None:
        from kitestring.server.workspaces import workspaces

        self.context = context
        with context.store.read() as db:
            rows = workspaces.find_all(db)
        self.workspace = workspace_id([{"workspaceId": row.id, "name": row.name} for row in rows], workspace)

    def plan(self, desired: Any, prune: bool) -> list[Any]:
        from kitestring.server.config_as_code.plan import plan
        from kitestring.server.config_as_code.project_spec import ProjectSpec

        changes = plan(self.context, self.workspace, ProjectSpec.model_validate(desired), prune=prune)
        return [change.body() for change in changes]

    def apply(self, desired: Any, prune: bool) -> list[Any]:
        from kitestring.server.config_as_code.project_spec import ProjectSpec
        from kitestring.server.config_as_code.project_writer import apply
        from kitestring.server.observability import audit

        with audit.acting("kitestring apply"):
            definition = ProjectSpec.model_validate(desired)
            # A user who may write the data folder administers the server.
            changes = apply(self.context, self.workspace, definition, trusted=True, prune=prune)
        return [change.body() for change in changes]

    def export(self, states: bool) -> dict[str, Any]:
        from kitestring.server.config_as_code import export

        exported = export.export(self.context, self.workspace, states)
        return {**exported.content, "leftOut": exported.left_out}


def workspace_id(workspaces: Sequence[Mapping[str, Any]], name: str) -> str:
    """The id of a workspace by name or id, of the first one without either."""
    from kitestring.errors import ConfigError

    ids = [
        workspace["workspaceId"]
        for workspace in workspaces
        if not name or name in (workspace["workspaceId"], workspace["name"])
    ]
    if not ids:
        raise ConfigError(
            f"there is no workspace {name}",
            hint=f"There are: {', '.join(workspace['name'] for workspace in workspaces)}.",
        )
    return str(ids[0])


@contextlib.contextmanager
def open_target(cli: CliContext, workspace: str) -> Iterator[OverHttp | InStore]:
    """The server that is named, or the store of the project's data folder."""
    if cli.server:
        from kitestring.cli import server_target

        with server_target.client(cli) as client:
            yield OverHttp(client, workspace)
        return
    needs_server()
    from kitestring.errors import ConfigError
    from kitestring.server.context import Context
    from kitestring.server.http.problem import Problem
    from kitestring.server.settings import Settings

    context = Context.of(Settings.of(home=cli.home.absolute()))
    try:
        yield InStore(context, workspace)
    except Problem as problem:
        raise ConfigError(problem.detail, hint=problem.hint) from problem
    finally:
        context.close()

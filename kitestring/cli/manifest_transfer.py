"""`kitestring manifest pull | push`: a manifest between a file and a project of a server's connector builder."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from kitestring.client import Client

PROJECTS = "/api/kitestring/v1/builder/projects"
WORKSPACE = Annotated[str, typer.Option(help="The project's workspace, by name or id.", show_default=False)]
YES = Annotated[bool, typer.Option("--yes", "-y", help="Without a question.")]


def pull(
    ctx: typer.Context,
    project: Annotated[str, typer.Argument(help="The project, by name or id.")],
    output: Annotated[str, typer.Option("--output", "-o", help="Another file. Default: connectors/NAME.yaml.")] = "",
    workspace: WORKSPACE = "",
    yes: YES = False,
) -> None:
    """Write the draft of a builder project to a file, byte for byte.

    A file with another text is shown as a difference and replaced after a question. The server is --server or
    KITESTRING_SERVER, by default the one of this machine.

    \b
    kitestring manifest pull 'Acme things'
    kitestring --server https://data.example.com manifest pull things -o things.yaml
    """
    from kitestring.cli.global_options import cli_context
    from kitestring.cli.jobs import server_of
    from kitestring.cli.manifest import text_of, write
    from kitestring.cli.state import confirm

    cli = cli_context(ctx)
    folder = cli.cwd / "connectors" if cli.file is None else cli.file.connectors
    with server_of(ctx) as server:
        text = server.call("GET", f"{PROJECTS}/{only_project(server, project, workspace)['projectId']}")
    path = cli.path(output) if output else folder / f"{file_name(text['name'])}.yaml"
    before = text_of(path) if path.exists() else ""
    if path.exists() and before == text["manifest"]:
        typer.echo(f"{path} is revision {text['revision']} of {text['name']} already")
        return
    if path.exists():
        typer.echo(difference(before, text["manifest"], str(path), f"{text['name']}, revision {text['revision']}"))
        confirm(f"Replace {path}?", yes)
    write(path, text["manifest"])
    typer.echo(f"wrote {path}: revision {text['revision']} of {text['name']}")


def push(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(help="The manifest, or the name of a connector that is one.")],
    project: Annotated[
        str, typer.Option(help="The project, by name or id. Default: that of the file's name.", show_default=False)
    ] = "",
    workspace: WORKSPACE = "",
    publish: Annotated[bool, typer.Option("--publish", help="Publish it as a version of the connector.")] = False,
    note: Annotated[str, typer.Option(help="What is new in the version.")] = "",
    upgrade: Annotated[bool, typer.Option("--upgrade", help="With --publish: all sources run the version.")] = False,
    yes: YES = False,
) -> None:
    """Write a file to a builder project, byte for byte, and publish it if asked. Without a project it makes one.

    A folder with a manifest.yaml is a project of the folder's name. components.py and schema files beside the manifest
    go with it, in its text (`kitestring manifest bundle`).
    What differs is shown, and replaced after a question. If somebody changes the project meanwhile, nothing is written.
    The server is --server or KITESTRING_SERVER, by default the one of this machine.

    \b
    kitestring manifest push connectors/things.yaml
    kitestring manifest push connectors/things.yaml --publish --note 'Orders have their currency.' --upgrade
    """
    from kitestring.cli.jobs import server_of
    from kitestring.cli.manifest import path_of, text_of
    from kitestring.declarative.builder.bundle import bundled_file

    path = path_of(ctx, file)
    bundle = bundled_file(path, text_of(path))
    text = bundle.text
    if bundle.included:
        typer.echo(f"with {', '.join(bundle.included)}", err=True)
    with server_of(ctx) as server:
        revision = pushed(server, path, text, project, workspace, yes)
        if publish:
            publish_revision(server, revision, note, upgrade, yes)


def pushed(server: Client, path: Path, text: str, name: str, workspace: str, yes: bool) -> dict[str, Any]:
    """The project that has the text now."""
    from kitestring.cli.state import confirm

    own = path.parent.resolve().name if path.name == "manifest.yaml" else path.stem
    matches = matching(server, name or own, workspace)
    if not matches and not name:
        body = {
            "workspaceId": only_workspace(server, workspace)["workspaceId"],
            "name": own,
            "manifest": text,
            "origin": {"kind": "manifest", "name": path.name},
        }
        created: dict[str, Any] = server.call("POST", PROJECTS, body)
        typer.echo(f"created the project {created['name']}")
        return created
    match = only_project(server, name or own, workspace)
    project: dict[str, Any] = server.call("GET", f"{PROJECTS}/{match['projectId']}")
    if project["manifest"] == text:
        typer.echo(f"{project['name']} has this text already")
        return project
    typer.echo(difference(project["manifest"], text, f"{project['name']}, revision {project['revision']}", str(path)))
    confirm(f"Replace the draft of {project['name']}?", yes)
    body = {"revision": project["revision"], "manifest": text}
    project = server.call("PATCH", f"{PROJECTS}/{project['projectId']}", body)
    typer.echo(f"wrote {project['name']}: revision {project['revision']}")
    return project


def publish_revision(server: Client, project: dict[str, Any], note: str, upgrade: bool, yes: bool) -> None:
    """Publish a project at the revision that was looked at."""
    from kitestring.cli.state import confirm
    from kitestring.errors import ConfigError

    place, body = f"{PROJECTS}/{project['projectId']}/publish", {"revision": project["revision"]}
    if project["publishedVersion"] is not None and not project["changedSincePublished"]:
        typer.echo(f"{project['name']} is version {project['publishedVersion']} already")
        return
    plan = server.call("POST", f"{place}/plan", body)
    for defect in plan["defects"]:
        typer.echo(f"{project['name']}:{defect['line']}:{defect['column']}: {defect['message']}", err=True)
    if plan["defects"]:
        raise ConfigError(
            f"{project['name']} has {len(plan['defects'])} defect(s) and cannot be published",
            hint="Correct the manifest and push it again.",
        )
    for change in plan["changes"]:
        typer.echo(f"{'breaks: ' if change['breaking'] else ''}{change['sentence']}")
    if plan["changes"]:
        pauses = [source["name"] for source in plan["sources"] if source["breaking"]] if upgrade else []
        what = f", which pauses the connections of {', '.join(pauses)}" if pauses else ""
        confirm(f"Publish version {plan['version']} of {project['name']}{what}?", yes)
    body = {**body, "note": note, "upgrade": "all" if upgrade else "none"}
    typer.echo(f"published version {server.call('POST', place, body)['version']} of {project['name']}")


def matching(server: Client, name: str, workspace: str) -> list[dict[str, Any]]:
    """The projects of this id or name; a file's name is that of a project without its spaces and capitals."""
    spaces = [only_workspace(server, workspace)] if workspace else list(server.listed("workspace"))
    projects = [
        project
        for space in spaces
        for project in server.call("GET", PROJECTS, workspaceId=space["workspaceId"])["data"]
    ]
    exact = [project for project in projects if name in (project["projectId"], project["name"])]
    return exact or [project for project in projects if file_name(project["name"]) == file_name(name)]


def only_project(server: Client, name: str, workspace: str) -> dict[str, Any]:
    from kitestring.errors import ConfigError

    matches = matching(server, name, workspace)
    if len(matches) == 1:
        return matches[0]
    if matches:
        ids = ", ".join(project["projectId"] for project in matches)
        raise ConfigError(f"{server.url} has {len(matches)} projects called {name}", hint=f"Name one by its id: {ids}.")
    raise ConfigError(f"{server.url} has no builder project {name}", hint="Its page Builder lists them.")


def only_workspace(server: Client, name: str) -> dict[str, Any]:
    from kitestring.errors import ConfigError

    spaces = list(server.listed("workspace"))
    matches = [space for space in spaces if not name or name in (space["workspaceId"], space["name"])]
    if len(matches) == 1:
        return matches[0]
    named = f"{len(matches)} workspaces" if matches else f"no workspace {name}"
    names = ", ".join(space["name"] for space in spaces)
    raise ConfigError(f"{server.url} has {named}", hint=f"Name one with --workspace: {names}.")


def file_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "manifest"


def difference(before: str, after: str, label: str, other: str) -> str:
    return "\n".join(difflib.unified_diff(before.splitlines(), after.splitlines(), label, other, lineterm=""))

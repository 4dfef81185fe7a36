"""`kitestring user` and `kitestring secrets`: users of a server, and the key that encrypts its secrets."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kitestring.cli.extras import needs_server
from kitestring.cli.global_options import cli_context

if TYPE_CHECKING:
    from kitestring.server.context import Context

app = typer.Typer(help="Users of a server: passwords and roles.", no_args_is_help=True)
secrets = typer.Typer(help="The key that encrypts the secrets in the server's store.", no_args_is_help=True)

EMAIL = typer.Argument(metavar="EMAIL", help="The user's e-mail address.")
ROLE = typer.Option(
    help="instance_admin, or workspace_admin, _editor, _runner, _reader, or organization_… the same.",
    show_default=False,
)
WORKSPACE = typer.Option(help="The workspace that the role is for. Default: the first one.", show_default=False)
ORGANIZATION = typer.Option(help="The organization that the role is for. Default: the first one.", show_default=False)
STDIN = typer.Option("--password-stdin", help="Read the password from standard input instead of asking.")


@contextmanager
def open_context(ctx: typer.Context) -> Iterator[Context]:
    """Open the store of this machine's settings; the audit log names the command line as the actor."""
    needs_server()
    from kitestring.server.context import Context
    from kitestring.server.observability.audit import acting
    from kitestring.server.settings import Settings
    from kitestring.server.workspaces import workspaces

    context = Context.of(Settings.of(home=cli_context(ctx).home.absolute()))
    try:
        workspaces.begin(context.store)
        with acting("command line"):
            yield context
    finally:
        context.close()


@app.command()
def add(
    ctx: typer.Context,
    email: Annotated[str, EMAIL],
    name: Annotated[str, typer.Option(help="The user's name.", show_default=False)] = "",
    role: Annotated[str, ROLE] = "",
    workspace: Annotated[str, WORKSPACE] = "",
    organization: Annotated[str, ORGANIZATION] = "",
    no_password: Annotated[bool, typer.Option("--no-password", help="They log in by OpenID Connect only.")] = False,
    password_stdin: Annotated[bool, STDIN] = False,
) -> None:
    """Add a user. The first user becomes instance_admin; from then on the server requires credentials.

    \b
    kitestring user add ada@example.com
    kitestring user add bob@example.com --role workspace_editor
    kitestring user add eve@example.com --role workspace_reader --no-password
    """
    with open_context(ctx) as context:
        from kitestring.server.auth import user

        password = None if no_password else password_of(password_stdin)
        with context.store.write() as db:
            grants = (grant_of(db, role, workspace, organization),) if role else ()
            user_id = user.add(db, email, password, context.store.now_ms(db), name=name, grants=grants)
            roles = (
                ", ".join(permission.permission_type for permission in user.permissions_of(db, user_id))
                or "no role yet"
            )
    typer.echo(f"{email} is a user: {roles}")


@app.command("list")
def listed(ctx: typer.Context) -> None:
    """Show all users with their roles."""
    with open_context(ctx) as context:
        from kitestring.server.auth import user

        with context.store.read() as db:
            for row in user.find_all(db):
                roles = [
                    f"{grant.permission_type} {grant.workspace_id or grant.organization_id or ''}".strip()
                    for grant in user.permissions_of(db, row.id)
                ]
                state = " (disabled)" if row.disabled else ""
                typer.echo(f"{row.email}{state}\t{', '.join(roles) or 'no role'}")


@app.command()
def passwd(ctx: typer.Context, email: Annotated[str, EMAIL], password_stdin: Annotated[bool, STDIN] = False) -> None:
    """Set a new password for a user. This ends all their sessions."""
    with open_context(ctx) as context:
        from kitestring.server.auth import user

        with context.store.read() as db:
            user_id = user_row(db, email).id
        password = password_of(password_stdin)
        with context.store.write() as db:
            user.set_password(db, user_id, password)
    typer.echo(f"{email} has another password")


@app.command()
def role(
    ctx: typer.Context,
    email: Annotated[str, EMAIL],
    role: Annotated[str, typer.Argument(metavar="ROLE", help="The role, or none to remove it.")],
    workspace: Annotated[str, WORKSPACE] = "",
    organization: Annotated[str, ORGANIZATION] = "",
) -> None:
    """Give a user a role in a workspace, in an organization or on the server, or remove it.

    \b
    kitestring user role bob@example.com workspace_admin
    kitestring user role bob@example.com instance_admin
    kitestring user role bob@example.com none --workspace 9f0c2a5e-6f0e-4c8e-9a3c-3f8c0a7a9b11
    """
    with open_context(ctx) as context:
        from kitestring.server.auth import user

        with context.store.write() as db:
            row = user_row(db, email)
            kind = "organization_member" if organization else "workspace_reader"
            grant = grant_of(db, kind if role == "none" else role, workspace, organization)
            place = (grant.workspace_id, grant.organization_id)
            permissions = [
                permission
                for permission in user.permissions_of(db, row.id)
                if (permission.workspace_id, permission.organization_id) == place
            ]
            if role == "none":
                for permission in permissions:
                    user.revoke(db, permission)
            elif permissions:
                user.regrant(db, permissions[0], role)
            else:
                user.grant(db, row.id, grant)
    typer.echo(f"{email} has {'no role there' if role == 'none' else role}")


@app.command()
def disable(
    ctx: typer.Context,
    email: Annotated[str, EMAIL],
    undo: Annotated[bool, typer.Option("--undo", help="Enable the user again.")] = False,
) -> None:
    """Disable a user: sessions and tokens end at once."""
    with open_context(ctx) as context:
        from kitestring.server.auth import user

        with context.store.write() as db:
            user.disable(db, user_row(db, email).id, not undo)
    typer.echo(f"{email} is {'let in again' if undo else 'locked out'}")


@app.command()
def remove(
    ctx: typer.Context,
    email: Annotated[str, EMAIL],
    even_last: Annotated[
        bool,
        typer.Option("--even-last", help="Also remove the only user: the server is then open to this machine again."),
    ] = False,
) -> None:
    """Remove a user with their sessions and applications."""
    with open_context(ctx) as context:
        from kitestring.server.auth import user

        with context.store.write() as db:
            user.remove(db, user_row(db, email).id, even_last=even_last)
    typer.echo(f"{email} is removed")


@secrets.command()
def rotate(
    ctx: typer.Context,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="First put a new key in front of the others in the file secret.key.")
    ] = False,
) -> None:
    """Encrypt every secret of the store with the current key.

    With --new-key, stop the server first: a running process knows only the old key. With KITESTRING_SECRET_KEY, put
    the new key in front of the old one, with a comma between them. Then restart every process, rotate, and remove the
    old key.
    """
    with open_context(ctx) as context:
        from kitestring.server.secrets import rekey
        from kitestring.server.secrets.secret_box import SecretBox

        if new_key:
            if context.settings.secret_key:
                from kitestring.errors import ConfigError

                raise ConfigError(
                    "the key comes from KITESTRING_SECRET_KEY, not from a file",
                    hint="Put the new key in front of the old one there, and rotate without --new-key.",
                )
            rekey.new_key_file(context.settings.home)
        secret_box = SecretBox.of(context.settings.secret_key, context.settings.home)
        changed = rekey.rotate(context.store, secret_box)
    typer.echo(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in changed.items()) + " sealed again")
    if new_key:
        typer.echo("Restart every process of the server that runs: it knows the old key only.", err=True)


def user_row(db: Any, email: str) -> Any:
    """The row of a user. `ConfigError` where there is none."""
    from kitestring.errors import ConfigError
    from kitestring.server.auth import user

    row = user.by_email(db, email)
    if row is None:
        raise ConfigError(f"there is no user {email}", hint="`kitestring user list` shows which there are.")
    return row


def grant_of(db: Any, role: str, workspace: str, organization: str) -> Any:
    """The role as a permission, for the first workspace or organization where none is named."""
    from kitestring.server.auth.user import Grant
    from kitestring.server.workspaces import workspaces

    if role.startswith("workspace"):
        workspace = workspace or str(workspaces.default(db).id)
        workspaces.get(db, workspace)
    elif role.startswith("organization"):
        organization = organization or workspaces.default_organization(db)
        workspaces.organization(db, organization)
    grant = Grant(role, workspace or None, organization or None)
    grant.check()
    return grant


def password_of(stdin: bool) -> str:
    """Asked for twice, or one line of standard input; never an argument, which every user of the machine can see."""
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
